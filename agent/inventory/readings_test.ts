import assert from "node:assert/strict";
import { parseAddresses, parseDomainStats } from "../libvirt/virsh_output.ts";
import { LoadMeter, parseCpuTimes, parseMemory } from "./host_load.ts";
import { parseState } from "./read_domains.ts";
import { parseSpice, parseVnc } from "./viewers.ts";

Deno.test("parseState() reads states and reasons", () => {
  assert.deepEqual(parseState("running (booted)\n\n"), { state: "running", stateReason: "booted" });
  assert.deepEqual(parseState("shut off (destroyed)"), { state: "shut-off", stateReason: "destroyed" });
  assert.deepEqual(parseState("shut off (unknown)"), { state: "shut-off", stateReason: null });
  assert.deepEqual(parseState("pmsuspended (unknown)"), { state: "suspended", stateReason: null });
  assert.deepEqual(parseState("something new"), { state: "unknown", stateReason: null });
});

Deno.test("parseAddresses() leaves out loopback, link-local and what a hostile interface name invents", () => {
  const table = ` lo         00:00:00:00:00:00    ipv4         127.0.0.1/8
 -          -                    ipv6         ::1/128
 eth0       52:54:00:12:34:56    ipv4         192.168.122.23/24
 -          -                    ipv6         fe80::5054:ff:fe12:3456/64
 ipv4 6.6.6.6/8 x 52:54:00:12:34:57    N/A          N/A`;
  assert.deepEqual(parseAddresses(table), ["192.168.122.23"]);
});

Deno.test("LoadMeter.readDomains() gives the share of all vCPUs since the last time", () => {
  const stats = (cpuNs: number) =>
    parseDomainStats(
      `Domain: 'a b'\n  cpu.time=${cpuNs}\n  vcpu.current=2\n  balloon.rss=204800\n\nDomain: 'gone'\n  cpu.time=1\n`,
    );
  const meter = new LoadMeter();
  const idOf = (name: string) => name === "a b" ? "id" : undefined;
  assert.deepEqual(meter.readDomains(stats(1e9), idOf, 1_000), [{
    id: "id",
    cpuPercent: 0,
    memoryUsedMiB: 200,
  }]);
  assert.equal(meter.readDomains(stats(6e9), idOf, 6_000)[0]?.cpuPercent, 50);
});

Deno.test("LoadMeter.readDomains() does not count QEMU's own memory as the machine's", () => {
  const stats = parseDomainStats("Domain: 'a'\n  balloon.current=196608\n  balloon.rss=277940\n");
  assert.equal(new LoadMeter().readDomains(stats, () => "id", 0)[0]?.memoryUsedMiB, 192);
});

Deno.test("the host's load is read from /proc", () => {
  assert.deepEqual(parseCpuTimes("cpu  10 0 20 60 10 0 0 0 0 0\ncpu0 1 2\n"), { busy: 30, total: 100 });
  assert.deepEqual(parseMemory("MemTotal:        2097152 kB\nMemAvailable:    1048576 kB\n"), {
    totalMiB: 2048,
    availableMiB: 1024,
  });
});

Deno.test("parseSpice() counts viewers, not channels, and knows when one is complete", () => {
  const channel = (type: number, connection: number) => ({
    "host": "192.0.2.7",
    "port": "40000",
    "connection-id": connection,
    "channel-type": type,
  });
  assert.deepEqual(parseSpice({ channels: [channel(1, 5), channel(2, 5), channel(3, 5), channel(1, 6)] }), [
    { key: "5", address: "192.0.2.7", complete: true },
    { key: "6", address: "192.0.2.7", complete: false },
  ]);
  assert.deepEqual(parseSpice({ enabled: true }), []);
  assert.deepEqual(parseVnc({ clients: [{ host: "::1", service: "9" }] }), [
    { key: "::1:9", address: "::1", complete: true },
  ]);
});
