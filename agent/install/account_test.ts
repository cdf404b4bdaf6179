import assert from "node:assert/strict";
import { join } from "node:path";
import { authorizeKeys, parseAuthorizedKey } from "./account.ts";

const key = (name: string) => `ssh-ed25519 AAAA${name} kvm-vdi@${name}`;

Deno.test("authorizeKeys() keeps other keys and has each key once, restricted", async () => {
  const home = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
  try {
    const path = join(home, ".ssh/authorized_keys");
    await Deno.mkdir(join(home, ".ssh"));
    await Deno.writeTextFile(path, `# an admin's\n\n${key("admin")}\n${key("one")}`);
    await authorizeKeys(home, [key("one"), key("two")]);
    await authorizeKeys(home, [key("two")]);
    const restricted = (name: string) => `restrict,port-forwarding ${key(name)}`;
    assert.deepEqual(
      (await Deno.readTextFile(path)).trimEnd().split("\n"),
      ["# an admin's", key("admin"), restricted("one"), restricted("two")],
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("parseAuthorizedKey() takes one public key and nothing that grants more", () => {
  assert.equal(parseAuthorizedKey(` ${key("one")}\n`).key, "AAAAone");
  for (
    const wrong of [
      "",
      "AAAA",
      'command="sh" ssh-ed25519 AAAA',
      "ssh-ed25519 AAAA x\nssh-ed25519 BBBB y",
      "-----BEGIN OPENSSH PRIVATE KEY-----",
      "ssh-dss AAAA",
    ]
  ) assert.throws(() => parseAuthorizedKey(wrong), { code: "invalid" }, wrong);
});
