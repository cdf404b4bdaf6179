import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../../../lib/process.ts";
import { makePrivateKey } from "./make_key.ts";
import { OwnKeys } from "./own_keys.ts";
import { utils } from "./ssh2.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
  try {
    await test(join(folder, "ssh"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("OwnKeys.open() makes an ed25519 key once, for its owner only, as OpenSSH reads it", () =>
  withFolder(async (folder) => {
    const [made, ...others] = (await OwnKeys.open(folder, "vdi")).list();
    assert.deepEqual(others, []);
    assert.match(made!.publicKey, /^ssh-ed25519 [A-Za-z0-9+/]+=* kvm-vdi@vdi$/);
    assert.deepEqual((await OwnKeys.open(folder, "renamed")).list(), [made], "the same after a restart");
    const path = join(folder, "id_ed25519");
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(folder)).mode! & 0o777, 0o700);
    assert.equal((await run(["ssh-keygen", "-y", "-f", path])).stdout.trim(), made!.publicKey);
    assert.ok((await run(["ssh-keygen", "-l", "-f", path])).stdout.includes(made!.fingerprint));
  }));

Deno.test("OwnKeys.create() makes an RSA key besides, and never a second one", () =>
  withFolder(async (folder) => {
    const keys = await OwnKeys.open(folder, "vdi");
    const [rsa, again] = await Promise.all([keys.create("rsa"), keys.create("rsa")]);
    assert.deepEqual(rsa, again, "two at once get the same");
    assert.match(rsa.publicKey, /^ssh-rsa /);
    assert.deepEqual(await keys.create("rsa"), rsa);
    assert.deepEqual(keys.list().map(({ algorithm }) => algorithm), ["ed25519", "rsa"]);
    const { stdout } = await run(["ssh-keygen", "-l", "-f", join(folder, "id_rsa")]);
    assert.ok(stdout.startsWith(`3072 ${rsa.fingerprint} `), stdout);
    assert.equal(keys.methods("kvm-vdi").length, 2);
    assert.ok(keys.remedy("kvm-vdi").includes(keys.list()[0]!.publicKey));
  }));

Deno.test("OwnKeys.open() replaces no key that cannot be read", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(folder);
    await Deno.writeTextFile(join(folder, "id_ed25519"), "damaged");
    await assert.rejects(OwnKeys.open(folder, "vdi"), /id_ed25519 is not a private key/);
    assert.equal(await Deno.readTextFile(join(folder, "id_ed25519")), "damaged");
  }));

Deno.test("makePrivateKey() makes keys that can always be read again", async () => {
  for (let times = 0; times < 400; times++) {
    const parsed = utils.parseKey(await makePrivateKey("ed25519", "x".repeat(times % 9)));
    assert.ok(!(parsed instanceof Error), String(parsed));
    const [key] = Array.isArray(parsed) ? parsed : [parsed];
    assert.ok(key!.isPrivateKey());
    assert.equal(key!.getPublicSSH().length, 51);
  }
});
