/** Who may import whom, and who may do what: the rules of docs/architecture.md, checked on the sources. */
import assert from "node:assert/strict";
import { dirname, normalize } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const layers = ["contracts", "lib", "server", "agent", "client", "ui", "migrations"] as const;
type Layer = (typeof layers)[number];

interface Import {
  /** Path in the repository, or a package name. */
  target: string;
  typeOnly: boolean;
}

interface Source {
  path: string;
  text: string;
  imports: Import[];
}

/** Which own folders a folder may import from; packages are free but for contracts. */
const mayImport: Record<Layer, readonly Layer[]> = {
  contracts: ["contracts"],
  lib: ["lib", "contracts"],
  server: ["server", "contracts", "lib", "migrations"],
  agent: ["agent", "contracts", "lib"],
  client: ["client", "contracts", "lib"],
  ui: ["ui", "contracts"],
  migrations: ["migrations"],
};

const importPattern =
  /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

function parseImports(path: string, text: string): Import[] {
  return [...text.matchAll(importPattern)].map(([, type, statically, lazily]) => {
    const name = statically ?? lazily ?? "";
    const target = name.startsWith(".") ? normalize(`${dirname(path)}/${name}`) : name;
    return { target, typeOnly: type !== undefined };
  });
}

async function* findSources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(root + folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory && name !== "vendor" && name !== "node_modules") yield* findSources(path);
    else if (/\.tsx?$/.test(name)) yield path;
  }
}

async function readSources(): Promise<Source[]> {
  const paths = (await Promise.all(layers.map((layer) => Array.fromAsync(findSources(layer))))).flat();
  return await Promise.all(paths.map(async (path) => {
    const text = await Deno.readTextFile(root + path);
    return { path, text, imports: parseImports(path, text) };
  }));
}

const layerOf = (path: string) => layers.find((layer) => path.startsWith(`${layer}/`));
const isTest = (path: string) => /_test\.tsx?$/.test(path);
const sources = await readSources();
const product = sources.filter(({ path }) => !isTest(path));

/** Every source for which `breaks` gives a reason, as one line each. */
function violations(among: Source[], breaks: (source: Source) => string | undefined | false): string[] {
  return among.flatMap((source) => {
    const reason = breaks(source);
    return reason ? [`${source.path}: ${reason}`] : [];
  });
}

Deno.test("architecture: the import pattern sees static, lazy, type-only and re-exporting imports", () => {
  const text = [
    `import a from "./a.ts";`,
    `import type { B } from '../lib/b.ts';`,
    `export { c } from "./c/c.ts";`,
    `import {\n  d,\n  type E,\n} from "zod";`,
    `const f = await import("../agent/f.ts");`,
    `import "reflect-metadata";`,
  ].join("\n");
  assert.deepEqual(parseImports("server/x.ts", text), [
    { target: "server/a.ts", typeOnly: false },
    { target: "lib/b.ts", typeOnly: true },
    { target: "server/c/c.ts", typeOnly: false },
    { target: "zod", typeOnly: false },
    { target: "agent/f.ts", typeOnly: false },
    { target: "reflect-metadata", typeOnly: false },
  ]);
});

Deno.test("architecture: there are sources in every folder", () => {
  for (const layer of layers) {
    assert(sources.some(({ path }) => layerOf(path) === layer), `${layer} is empty`);
  }
});

Deno.test("architecture: folders import only what they may", () => {
  const found = violations(product, ({ path, imports }) => {
    const layer = layerOf(path);
    const wrong = imports.find(({ target, typeOnly }) => {
      const other = layerOf(target);
      if (!layer || !other) return false;
      const typedClient = typeOnly && other === "server" && (layer === "ui" || layer === "client");
      return !mayImport[layer].includes(other) && !typedClient;
    });
    return wrong && `imports ${wrong.target}`;
  });
  assert.deepEqual(found, []);
});

Deno.test("architecture: contracts import only zod", () => {
  const contracts = product.filter(({ path }) => layerOf(path) === "contracts");
  const found = violations(contracts, ({ imports }) => {
    const wrong = imports.find(({ target }) => target !== "zod" && layerOf(target) !== "contracts");
    return wrong && `imports ${wrong.target}`;
  });
  assert.deepEqual(found, []);
});

Deno.test("architecture: nothing imports from the tests or the scripts", () => {
  const found = violations(product, ({ imports }) => {
    const wrong = imports.find(({ target }) => /^(tests|scripts)\//.test(target) || isTest(target));
    return wrong && `imports ${wrong.target}`;
  });
  assert.deepEqual(found, []);
});

Deno.test("architecture: a feature of the dashboard never imports another feature's store", () => {
  const server = product.filter(({ path }) => layerOf(path) === "server");
  const found = violations(server, ({ path, imports }) => {
    const wrong = imports.find(({ target, typeOnly }) =>
      /^server\/[^/]+\/(.*_)?store\.ts$/.test(target) && dirname(target) !== dirname(path) && !typeOnly
    );
    return wrong && `imports ${wrong.target}`;
  });
  assert.deepEqual(found, []);
});

Deno.test("architecture: SQL lives only in stores and in server/db", () => {
  const query = /\.(selectFrom|insertInto|updateTable|deleteFrom)\(|\bsql`|\bprepare\(\s*["'`]/;
  const found = violations(product, ({ path, text }) => {
    if (/(^|_|\/)store\.ts$/.test(path) || path.startsWith("server/db/")) return false;
    return query.test(text) && "contains a query";
  });
  assert.deepEqual(found, []);
});

Deno.test("architecture: processes are started only by lib/process.ts", () => {
  const start = /\bDeno\.Command\b|["'](node:)?child_process["']|\bDeno\.run\b/;
  const found = violations(
    product,
    ({ path, text }) => path !== "lib/process.ts" && start.test(text) && "starts a process",
  );
  assert.deepEqual(found, []);
});

Deno.test("architecture: virsh and qemu-img are named as commands only under agent/libvirt", () => {
  const command = /\[\s*["'`](virsh|qemu-img|qemu-nbd)["'`]/;
  const found = violations(
    product,
    ({ path, text }) =>
      !path.startsWith("agent/libvirt/") && command.test(text) && "spawns virsh or qemu-img",
  );
  assert.deepEqual(found, []);
});

Deno.test("architecture: each mode is loaded by one lazy literal import", async () => {
  const main = await Deno.readTextFile(`${root}main.ts`);
  for (const mode of ["server", "agent", "client"]) {
    assert.equal(main.split(`await import("./${mode}/main.ts")`).length, 2, `${mode} in main.ts`);
  }
  const eager = parseImports("main.ts", main).filter(({ target }) => /^(server|agent|client)\//.test(target));
  assert.equal(eager.length, 3, "main.ts imports a mode statically");
});
