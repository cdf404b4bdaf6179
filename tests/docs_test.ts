/** The documentation must not promise what is not there. */
import assert from "node:assert/strict";
import { dirname, normalize } from "node:path";

const root = new URL("..", import.meta.url).pathname;

async function readPages(): Promise<{ path: string; text: string }[]> {
  const paths = ["README.md", "CONTRIBUTING.md"];
  for await (const { name } of Deno.readDir(`${root}docs`)) {
    if (name.endsWith(".md")) paths.push(`docs/${name}`);
  }
  return await Promise.all(paths.map(async (path) => ({ path, text: await Deno.readTextFile(root + path) })));
}

/** Those of `targets` that are not in the repository. */
async function findMissing(targets: string[]): Promise<string[]> {
  const found = await Promise.all(
    targets.map((target) => Deno.stat(root + target).then(() => undefined, () => target)),
  );
  return found.filter((target) => target !== undefined);
}

const pages = await readPages();

Deno.test("docs: every relative link leads to a file", async () => {
  const targets = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)].map(([, link]) =>
      normalize(`${dirname(path)}/${link}`)
    )
  );
  assert(targets.length > 5);
  assert.deepEqual(await findMissing(targets), []);
});

Deno.test("docs: every script and source file that is named exists", async () => {
  const named = pages.flatMap(({ text }) =>
    [...text.matchAll(
      /`(?:\.\/)?((?:scripts|lib|server|agent|client|ui|contracts|tests)\/[\w./-]+)(?![\w./*-])/g,
    )]
      .map(([, path]) => path ?? "")
  );
  assert(named.length > 10);
  assert.deepEqual(await findMissing([...new Set(named)]), []);
});

Deno.test("docs: every page is listed in docs/README.md", () => {
  const index = pages.find(({ path }) => path === "docs/README.md")?.text ?? "";
  const unlisted = pages.filter(({ path }) =>
    path.startsWith("docs/") && path !== "docs/README.md" &&
    !index.includes(`(${path.slice("docs/".length)})`)
  );
  assert.deepEqual(unlisted.map(({ path }) => path), []);
});
