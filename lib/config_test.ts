import assert from "node:assert/strict";
import { z } from "zod";
import { describeSettings, loadConfig } from "./config.ts";

const schema = z.object({
  dataDir: z.string().default("/var/lib/kvm-vdi").describe("where data lives"),
  portNumber: z.int().min(1).max(65535).default(8443),
  localHypervisor: z.boolean().default(false),
  origins: z.array(z.string()).default([]),
  domainType: z.enum(["auto", "kvm", "qemu"]).default("auto"),
});

/** Loads with a TOML file of this text. */
async function loadWith(
  { toml = "", flags = {}, env = {} }: {
    toml?: string;
    flags?: Record<string, unknown>;
    env?: Record<string, string>;
  },
) {
  const file = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(file, toml);
    return await loadConfig(schema, { mode: "test", flags, env, file });
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("describeSettings() spells one key for flags, file and environment", () => {
  const [first, second, third, fourth, fifth] = describeSettings(schema);
  assert.deepEqual(first, {
    key: "dataDir",
    name: "data-dir",
    env: "KVM_VDI_DATA_DIR",
    kind: "string",
    description: "where data lives",
    defaultValue: "/var/lib/kvm-vdi",
    choices: undefined,
  });
  assert.deepEqual([second?.kind, third?.kind, fourth?.kind], ["number", "boolean", "list"]);
  assert.deepEqual(fifth?.choices, ["auto", "kvm", "qemu"]);
});

Deno.test("loadConfig() prefers flags over the environment, that over the file, that over defaults", async () => {
  const toml = 'data-dir = "/file"\nport-number = 1\nlocal-hypervisor = true';
  const env = { KVM_VDI_DATA_DIR: "/env", KVM_VDI_PORT_NUMBER: "2" };
  assert.deepEqual(await loadWith({ toml, env, flags: { dataDir: "/flag" } }), {
    dataDir: "/flag",
    portNumber: 2,
    localHypervisor: true,
    origins: [],
    domainType: "auto",
  });
});

Deno.test("loadConfig() reads numbers, booleans and lists from text", async () => {
  const env = { KVM_VDI_LOCAL_HYPERVISOR: "yes", KVM_VDI_ORIGINS: "a, b" };
  const config = await loadWith({ env, flags: { portNumber: "443" } });
  assert.deepEqual([config.portNumber, config.localHypervisor, config.origins], [443, true, ["a", "b"]]);
});

Deno.test("loadConfig() names key and line of an unknown key", async () => {
  await assert.rejects(
    loadWith({ toml: '# comment\n\ndata-dri = "/x"\n' }),
    { code: "invalid", message: /\.toml line 3: data-dri: unknown setting; known: data-dir,/ },
  );
});

Deno.test("loadConfig() names key and line of an unknown table", async () => {
  await assert.rejects(
    loadWith({ toml: "port-number = 1\n[agent]\nx = 1\n" }),
    /line 2: agent: unknown setting/,
  );
});

Deno.test("loadConfig() names key and line of a bad value", async () => {
  await assert.rejects(loadWith({ toml: "\nport-number = 70000\n" }), /\.toml line 2: port-number: /);
});

Deno.test("loadConfig() names the line of a syntax error", async () => {
  await assert.rejects(loadWith({ toml: 'data-dir = "/x"\nport-number = = 2\n' }), /\.toml line 2: /);
});

Deno.test("loadConfig() names the flag or the variable of a bad value", async () => {
  await assert.rejects(loadWith({ flags: { portNumber: "many" } }), /^AppError: --port-number: /);
  await assert.rejects(loadWith({ env: { KVM_VDI_DOMAIN_TYPE: "xen" } }), /^AppError: KVM_VDI_DOMAIN_TYPE: /);
});

Deno.test("loadConfig() says which setting is required", async () => {
  const strict = z.object({ serverUrl: z.string() });
  await assert.rejects(
    loadConfig(strict, { mode: "no-such-mode", flags: {}, env: {} }),
    /^AppError: --server-url: is required \(or KVM_VDI_SERVER_URL\)/,
  );
});

Deno.test("loadConfig() refuses a file that was named but is not there", async () => {
  await assert.rejects(
    loadConfig(schema, { mode: "test", flags: {}, env: {}, file: "/nonexistent.toml" }),
    /Reading the configuration \/nonexistent\.toml failed/,
  );
});
