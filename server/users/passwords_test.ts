import assert from "node:assert/strict";
import { Passwords } from "./passwords.ts";

async function withPasswords(work: (passwords: Passwords) => Promise<void>) {
  const passwords = new Passwords(2);
  try {
    await work(passwords);
  } finally {
    passwords.close();
  }
}

Deno.test("Passwords tells the right password from others, over their whole length", () =>
  withPasswords(async (passwords) => {
    const hash = await passwords.hash("correct horse battery staple");
    assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    assert.equal(await passwords.verify("correct horse battery staple", hash), true);
    assert.equal(await passwords.verify("correct horse battery stapl", hash), false);
    // The predecessor's DES crypt looked at 8 characters only.
    assert.equal(await passwords.verify("correct ", hash), false);
  }));

Deno.test("Passwords compares text, not numbers: 1.2345e4 is not 12345", () =>
  withPasswords(async (passwords) => {
    assert.equal(await passwords.verify("1.2345e4", await passwords.hash("12345")), false);
  }));

Deno.test("Passwords salts every hash", () =>
  withPasswords(async (passwords) => {
    assert.notEqual(await passwords.hash("same"), await passwords.hash("same"));
  }));

Deno.test("Passwords.verify() works as long for nobody, and never accepts", () =>
  withPasswords(async (passwords) => {
    const hash = await passwords.hash("x");
    const timed = async (against: string | null) => {
      const start = performance.now();
      for (let i = 0; i < 5; i++) assert.equal(await passwords.verify("wrong", against), false);
      return performance.now() - start;
    };
    const [somebody, nobody] = [await timed(hash), await timed(null)];
    assert(nobody > somebody / 3 && nobody < somebody * 3, `${nobody} ms against ${somebody} ms`);
  }));

Deno.test("Passwords does not block the event loop while it hashes", () =>
  withPasswords(async (passwords) => {
    await passwords.hash("warm-up");
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await Promise.all(Array.from({ length: 6 }, () => passwords.hash("x")));
    clearInterval(timer);
    assert(ticks > 10, `${ticks} ticks`);
  }));

Deno.test("Passwords.close() refuses what still waits", async () => {
  const passwords = new Passwords(1);
  const refused = Promise.all(
    [1, 2, 3].map(() => assert.rejects(passwords.hash("x"), { code: "unavailable" })),
  );
  passwords.close();
  await refused;
});
