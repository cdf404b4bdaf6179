/**
 * Bundles the web UI into dist/ui: index.html plus content-hashed files under assets/.
 *
 * PatternFly's CSS is shaken: the first pass drops every CSS import and notes which of react-styles' modules survive
 * tree shaking, the second bundles only their CSS. `--watch` bundles again after each change under ui/.
 */
import { existsSync } from "node:fs";
import * as esbuild from "esbuild";
import { englishZod } from "./english_zod.ts";
import { collectLicenses } from "./licenses.ts";

const root = new URL("..", import.meta.url).pathname;
const preact = `${root}node_modules/preact`;

/** PatternFly is written for React and runs on Preact. */
const alias = {
  "react": `${preact}/compat/dist/compat.mjs`,
  "react-dom": `${preact}/compat/dist/compat.mjs`,
  "react/jsx-runtime": `${preact}/jsx-runtime/dist/jsxRuntime.mjs`,
};

const common = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  metafile: true,
  write: false,
  logLevel: "error",
  outdir: `${root}dist/ui`,
  entryNames: "assets/[name]-[hash]",
  chunkNames: "assets/[name]-[hash]",
  assetNames: "assets/[name]-[hash]",
} satisfies esbuild.BuildOptions;

export interface UiFile {
  /** Below dist/ui, such as `assets/main-<hash>.js`. */
  name: string;
  bytes: Uint8Array;
}

/** Bundles the UI and returns its files; nothing is written. */
export async function bundleUi(): Promise<UiFile[]> {
  const script = await bundleScript();
  const style = await bundleStyle(script.metafile);
  const files = [...script.outputFiles, ...style.outputFiles].map(({ path, contents }) => ({
    name: path.slice(common.outdir.length + 1),
    bytes: contents,
  }));
  const template = await Deno.readTextFile(`${root}ui/index.html`);
  const page = template
    .replace("/main.js", `/${outputOf(script.metafile, "ui/main.tsx")}`)
    .replace("/main.css", `/${outputOf(style.metafile, "<stdin>")}`);
  const licenses = await collectLicenses([script.metafile, style.metafile]);
  return [...files, textFile("index.html", page), textFile("licenses.txt", licenses)];
}

function bundleScript() {
  return esbuild.build({
    ...common,
    // spice-client (LGPL-3) is an entry of its own: one lazily loaded file that can be replaced by another build of it.
    entryPoints: { "main": "ui/main.tsx", "spice-client": "spice-client" },
    format: "esm",
    splitting: true,
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    alias,
    define: { "process.env.NODE_ENV": '"production"' },
    legalComments: "none",
    // Before any chunk builds a schema: zod's probe for eval would be reported as a breach of our security policy.
    banner: { js: "globalThis.__zod_globalConfig={jitless:true};" },
    plugins: [englishZod, {
      name: "drop-css",
      setup: (build) => build.onLoad({ filter: /\.css$/ }, () => ({ contents: "", loader: "js" })),
    }],
  });
}

/** PatternFly's base, the CSS of the components that are used, then our own. */
async function bundleStyle(scripts: esbuild.Metafile) {
  const used = Object.values(scripts.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs)
      .filter(([path, { bytesInOutput }]) => bytesInOutput > 0 && /react-styles\/css\/.*\.m?js$/.test(path))
      .map(([path]) => path.replace(/\.m?js$/, ".css"))
  );
  const sheets = [...new Set(used)].filter((path) => existsSync(`${root}${path}`)).map((path) => `./${path}`);
  const imports = ["@patternfly/patternfly/patternfly-base.css", ...sheets, "./ui/styles.css"];
  return await esbuild.build({
    ...common,
    stdin: {
      contents: imports.map((path) => `@import ${JSON.stringify(path)};`).join("\n"),
      loader: "css",
      resolveDir: root,
    },
    entryNames: "assets/main-[hash]",
    loader: { ".woff2": "file", ".svg": "dataurl" },
  });
}

/** The name below dist/ui of what an entry point was bundled into. */
function outputOf(metafile: esbuild.Metafile, entryPoint: string): string {
  const output = Object.entries(metafile.outputs).find(([, { entryPoint: entry }]) => entry === entryPoint)
    ?.[0];
  if (!output) throw new Error(`no output for ${entryPoint}`);
  return output.slice("dist/ui/".length);
}

function textFile(name: string, text: string): UiFile {
  return { name, bytes: new TextEncoder().encode(text) };
}

/** Replaces dist/ui by these files. */
export async function writeUi(files: UiFile[]): Promise<void> {
  const folder = common.outdir;
  await Deno.mkdir(`${folder}/assets`, { recursive: true });
  for (const { name, bytes } of files) await Deno.writeFile(`${folder}/${name}`, bytes);
  const kept = new Set(files.map(({ name }) => name));
  for await (const { name } of Deno.readDir(`${folder}/assets`)) {
    if (!kept.has(`assets/${name}`)) await Deno.remove(`${folder}/assets/${name}`);
  }
}

/** Size in bytes after gzip, as browsers fetch it. */
export async function gzipSize(bytes: Uint8Array): Promise<number> {
  return (await gzip(bytes)).length;
}

export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function bundleOnce(): Promise<void> {
  const startedAt = performance.now();
  const files = await bundleUi();
  await writeUi(files);
  const total = (await Promise.all(files.map(({ bytes }) => gzipSize(bytes)))).reduce(
    (sum, size) => sum + size,
    0,
  );
  const first = await firstLoadBytes(files);
  console.log(
    `dist/ui: ${files.length} files, ${kib(total)} KiB gzip, first load ${kib(first)} KiB of JavaScript, ` +
      `${Math.round(performance.now() - startedAt)} ms`,
  );
}

/** Gzipped JavaScript that the browser fetches before the first page: the main script and what it imports statically. */
async function firstLoadBytes(files: UiFile[]): Promise<number> {
  const byName = new Map(files.map((file) => [file.name, file.bytes]));
  const entry = files.find(({ name }) => /^assets\/main-.*\.js$/.test(name))?.name;
  const wanted = new Set(entry ? [entry] : []);
  for (const name of wanted) {
    const text = new TextDecoder().decode(byName.get(name));
    for (const [, file] of text.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) wanted.add(`assets/${file}`);
  }
  const sizes = await Promise.all([...wanted].map((name) => gzipSize(byName.get(name) ?? new Uint8Array())));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function kib(bytes: number): number {
  return Math.round(bytes / 1024);
}

if (import.meta.main) {
  await bundleOnce();
  if (Deno.args.includes("--watch")) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    for await (const _event of Deno.watchFs(`${root}ui`)) {
      clearTimeout(timer);
      timer = setTimeout(() => bundleOnce().catch((error) => console.error(String(error))), 100);
    }
  }
  await esbuild.stop();
}
