import assert from "node:assert/strict";
import { join } from "node:path";
import { readQcow2Header } from "./qcow2_header.ts";
import { walkChain } from "./links.ts";

interface Fields {
  version?: number;
  backing?: string;
  backingFormat?: string;
  virtualBytes?: number;
  features?: bigint;
}

/** The first cluster of a qcow2 file, by the book. */
function header(
  { version = 3, backing, backingFormat, virtualBytes = 2 ** 30, features = 0n }: Fields,
): Uint8Array {
  const bytes = new Uint8Array(65536);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, version);
  view.setBigUint64(24, BigInt(virtualBytes));
  view.setBigUint64(72, features);
  view.setUint32(100, 104);
  const encoder = new TextEncoder();
  // An extension that nobody knows comes first.
  view.setUint32(104, 0x12345678);
  view.setUint32(108, 3);
  if (backingFormat) {
    view.setUint32(120, 0xe2792aca);
    view.setUint32(124, backingFormat.length);
    bytes.set(encoder.encode(backingFormat), 128);
  }
  if (backing) {
    view.setBigUint64(8, 5000n);
    view.setUint32(16, encoder.encode(backing).length);
    bytes.set(encoder.encode(backing), 5000);
  }
  return bytes;
}

async function withFiles(
  files: Record<string, Uint8Array>,
  act: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(join(dir, name), bytes);
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("readQcow2Header() reads size, backing file and format", async () => {
  await withFiles(
    { image: header({ backing: "/images/bäse.qcow2", backingFormat: "qcow2" }) },
    async (dir) => {
      assert.deepEqual(await readQcow2Header(join(dir, "image")), {
        virtualBytes: 2 ** 30,
        backingName: "/images/bäse.qcow2",
        backingPath: "/images/bäse.qcow2",
        backingFormat: "qcow2",
        externalData: false,
      });
    },
  );
});

Deno.test("readQcow2Header() resolves relative names and takes no URL for a path", async () => {
  const files = {
    relative: header({ backing: "../base" }),
    url: header({ backing: `json:{"driver":"nbd"}` }),
  };
  await withFiles(files, async (dir) => {
    assert.equal((await readQcow2Header(join(dir, "relative")))?.backingPath, join(dir, "../base"));
    assert.equal((await readQcow2Header(join(dir, "url")))?.backingPath, null);
    assert.equal((await readQcow2Header(join(dir, "url")))?.backingName, `json:{"driver":"nbd"}`);
  });
});

Deno.test("readQcow2Header() knows external data, version 2, and what is no qcow2", async () => {
  const files = {
    external: header({ features: 4n }),
    old: header({ version: 2, features: 4n }),
    raw: new Uint8Array(4096),
    empty: new Uint8Array(),
  };
  await withFiles(files, async (dir) => {
    assert.equal((await readQcow2Header(join(dir, "external")))?.externalData, true);
    assert.equal((await readQcow2Header(join(dir, "old")))?.externalData, false);
    assert.equal(await readQcow2Header(join(dir, "raw")), null);
    assert.equal(await readQcow2Header(join(dir, "empty")), null);
  });
});

Deno.test("readQcow2Header() refuses a damaged header", async () => {
  const bytes = header({ backing: "x" });
  new DataView(bytes.buffer).setUint32(16, 0xffffffff);
  await withFiles({ image: bytes }, (dir) => assert.rejects(readQcow2Header(join(dir, "image")), RangeError));
});

Deno.test("walkChain() follows backing files, tells what is missing, and ends a circle", async () => {
  const files = {
    top: header({ backing: "middle", backingFormat: "qcow2" }),
    middle: header({ backing: "gone", backingFormat: "raw" }),
    circle: header({ backing: "circle", backingFormat: "qcow2" }),
  };
  await withFiles(files, async (dir) => {
    const chain = await walkChain(join(dir, "top"), "qcow2");
    assert.deepEqual(chain.map(({ path, format, missing }) => [path, format, missing]), [
      [join(dir, "top"), "qcow2", false],
      [join(dir, "middle"), "qcow2", false],
      [join(dir, "gone"), "raw", true],
    ]);
    assert.equal((await walkChain(join(dir, "circle"), "qcow2")).length, 64);
  });
});

Deno.test("walkChain() believes no header inside a raw image, which its guest can write", async () => {
  await withFiles({ raw: header({ backing: "/etc/shadow", backingFormat: "raw" }) }, async (dir) => {
    assert.equal((await walkChain(join(dir, "raw"), "raw")).length, 1);
  });
});
