import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import { firstImagePath, imagePath, listOwnFiles, readOwnFile, replaceFile, requireSpace } from "./files.ts";

const id = "6f4f1a0e-4a5c-4b8e-9d0a-1b2c3d4e5f60";
const named = { id, name: "desk-1" };

Deno.test("imagePath() names files after the machine, its id and the version", () => {
  assert.equal(imagePath("/images", named), "/images/desk-1-6f4f1a0e.qcow2");
  assert.equal(imagePath("/images", named, 12), "/images/desk-1-6f4f1a0e.v12.qcow2");
  assert.equal(firstImagePath("/images", { ...named, role: "initial" }), "/images/desk-1-6f4f1a0e.v1.qcow2");
});

Deno.test("readOwnFile() knows a machine's files also after it was renamed", () => {
  const read = (path: string) => readOwnFile("/images", id, path);
  assert.deepEqual(read("/images/old.name-6f4f1a0e.v3.qcow2"), {
    path: "/images/old.name-6f4f1a0e.v3.qcow2",
    version: 3,
    partial: false,
  });
  assert.equal(read("/images/desk-1-6f4f1a0e.qcow2.partial")?.partial, true);
  for (
    const foreign of [
      "/images/desk-1-6f4f1a0f.qcow2",
      "/images/sub/desk-1-6f4f1a0e.qcow2",
      "/other/desk-1-6f4f1a0e.qcow2",
      "/images/desk-1-6f4f1a0e.qcow2.bak",
      "/images/6f4f1a0e.qcow2",
      "/images/debian.iso",
    ]
  ) {
    assert.equal(read(foreign), null, foreign);
  }
});

Deno.test("listOwnFiles() sorts versions by number", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const name of ["a-6f4f1a0e.v10.qcow2", "a-6f4f1a0e.v9.qcow2", "a-00000000.v1.qcow2"]) {
      await Deno.writeTextFile(join(dir, name), "");
    }
    assert.deepEqual((await listOwnFiles(dir, id)).map(({ version }) => version), [9, 10]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("replaceFile() puts the new file in the place of the old", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(dir, "image"), "old");
    await Deno.writeTextFile(join(dir, "image.partial"), "new");
    await replaceFile(join(dir, "image.partial"), join(dir, "image"));
    assert.equal(await Deno.readTextFile(join(dir, "image")), "new");
    assert.equal((await Array.fromAsync(Deno.readDir(dir))).length, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("requireSpace() says how much is needed and how much there is", async () => {
  await requireSpace("/", "Copy the disk", 0);
  await assert.rejects(
    requireSpace("/", "Copy the disk", 2 ** 60),
    (error) =>
      error instanceof AppError && error.code === "conflict" &&
      /^Copy the disk: it needs \d+\.\d GB .* free/.test(error.message),
  );
});

Deno.test("requireSpace() measures a sparse image only when its full size would not fit", async () => {
  await requireSpace("/", "Copy the disk", 2 ** 60, () => Promise.resolve(4096));
  await requireSpace("/", "Copy the disk", 0, () => assert.fail("it fits anyway"));
});
