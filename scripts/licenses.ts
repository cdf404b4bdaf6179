import type { Metafile } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

interface NpmPackage {
  name: string;
  version: string;
  license: string;
  text: string;
}

/** The licence texts of every npm package that ended up in the bundles, with the full LGPL for spice-client. */
export async function collectLicenses(metafiles: Metafile[]): Promise<string> {
  const folders = new Set<string>();
  for (const input of metafiles.flatMap((metafile) => Object.keys(metafile.inputs))) {
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (folder && !folder.includes("/.deno/node_modules")) folders.add(folder);
  }
  const packages = await Promise.all([...folders].map(readPackage));
  const unique = new Map(packages.map((found) => [`${found.name}@${found.version}`, found]));
  const sections = [...unique.entries()].sort(([a], [b]) => a.localeCompare(b)).map((
    [id, { license, text }],
  ) => `${"=".repeat(78)}\n${id}: ${license}\n\n${text.trim()}\n`);
  const lgpl = [...unique.values()].some(({ license }) => license.startsWith("LGPL"))
    ? await Promise.all(
      ["LGPL-3.0", "GPL-3.0"].map((name) => Deno.readTextFile(`${root}scripts/licenses/${name}.txt`)),
    )
    : [];
  const own = await Deno.readTextFile(`${root}LICENSE`);
  return [
    `KVM-VDI\n\n${own.trim()}\n\nIt contains the Deno runtime (MIT, https://github.com/denoland/deno) and these packages:\n`,
    ...sections,
    ...lgpl.map((text) => `${"=".repeat(78)}\n${text}`),
  ].join("\n");
}

async function readPackage(folder: string): Promise<NpmPackage> {
  const { name, version, license } = JSON.parse(await Deno.readTextFile(`${root}${folder}/package.json`));
  const texts: string[] = [];
  for await (const { name: file, isFile } of Deno.readDir(`${root}${folder}`)) {
    if (isFile && /^(licen[cs]e|copying|notice)/i.test(file)) {
      texts.push(await Deno.readTextFile(`${root}${folder}/${file}`));
    }
  }
  return { name, version, license: String(license?.type ?? license ?? "see below"), text: texts.join("\n") };
}
