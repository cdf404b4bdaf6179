import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createLogger } from "../../lib/log.ts";
import { DashboardConfig } from "../config.ts";
import { startDashboard } from "../dashboard.ts";
import { run } from "../../lib/process.ts";
import { ensureCertificate, readOwnCertificate } from "./certificates.ts";

const dayMs = 86_400_000;

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const leafOf = ({ chain }: { chain: string }) => new X509Certificate(chain);

Deno.test("ensureCertificate() makes a CA and a certificate for all names that openssl accepts", () =>
  inFolder(async (folder) => {
    const made = await ensureCertificate(
      folder,
      ["localhost", "vdi.example.org", "127.0.0.1", "::1"],
      Date.now(),
    );
    const leaf = leafOf(made);
    for (const name of ["localhost", "vdi.example.org"]) assert.equal(leaf.checkHost(name), name);
    assert.match(leaf.subjectAltName ?? "", /IP Address:127\.0\.0\.1/);
    assert.equal(leaf.ca, false);
    await Deno.writeTextFile(`${folder}/chain.pem`, made.chain);
    const verify = ["openssl", "verify", "-x509_strict", "-CAfile", `${folder}/ca.pem`];
    await run([...verify, "-verify_hostname", "localhost", `${folder}/chain.pem`]);
    await assert.rejects(run([...verify, "-verify_hostname", "evil.example", `${folder}/chain.pem`]));
  }));

Deno.test("ensureCertificate() keeps its keys to the owner", () =>
  inFolder(async (folder) => {
    await ensureCertificate(folder, ["localhost"], Date.now());
    for (const name of ["ca.key", "server.key"]) {
      assert.equal((await Deno.stat(`${folder}/${name}`)).mode! & 0o777, 0o600);
    }
  }));

Deno.test("ensureCertificate() renews what ends soon or lacks a name, under the same CA", () =>
  inFolder(async (folder) => {
    const now = Date.now();
    const first = await ensureCertificate(folder, ["localhost"], now);
    assert.equal((await ensureCertificate(folder, ["localhost"], now + 300 * dayMs)).chain, first.chain);
    const later = await ensureCertificate(folder, ["localhost"], now + 380 * dayMs);
    assert.notEqual(later.chain, first.chain);
    assert(later.expiresAt > first.expiresAt);
    const named = await ensureCertificate(folder, ["localhost", "new.example"], now + 380 * dayMs);
    assert.equal(leafOf(named).checkHost("new.example"), "new.example");
    assert.deepEqual([first.ca, later.ca], [named.ca, named.ca]);
  }));

Deno.test("readOwnCertificate() says which file is wrong", async () => {
  await assert.rejects(readOwnCertificate("/nonexistent/a.pem", "/nonexistent/a.key"), {
    code: "invalid",
    message: /\/nonexistent\/a\.pem/,
  });
});

Deno.test("a client that knows the CA trusts the dashboard, and others do not", async () => {
  await inFolder(async (dataDir) => {
    const dashboard = await startDashboard({
      config: DashboardConfig.parse({ dataDir, listen: "127.0.0.1:0" }),
      log: createLogger({ mode: "test", level: "silent" }),
      connect: () => assert.fail("no agents"),
    });
    try {
      assert.match(dashboard.url, /^https:/);
      using client = Deno.createHttpClient({ caCerts: [dashboard.ca!] });
      const trusting: RequestInit & { client: Deno.HttpClient } = { client };
      const response = await fetch(`https://localhost:${dashboard.port}/ca.pem`, trusting);
      assert.equal(await response.text(), dashboard.ca);
      await assert.rejects(fetch(dashboard.url));
    } finally {
      await dashboard.close();
    }
  });
});
