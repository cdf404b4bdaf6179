import assert from "node:assert/strict";
import type { MachineSpec } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import {
  applyEdit,
  buildDomainXml,
  type BuildFacts,
  cdromElement,
  closeDisplay,
  graphicsElement,
  listenOn,
  readDomain,
  readMetadata,
  setDisk,
  withScratch,
  writeMetadata,
} from "./domain_xml.ts";

const id = "6f4f1a0e-4a5c-4b8e-9d0a-1b2c3d4e5f60";
const tcg: BuildFacts = { domainType: "qemu", displays: ["spice", "vnc"] };
const kvm: BuildFacts = { ...tcg, domainType: "kvm" };
const spec = (values: Partial<MachineSpec> = {}): MachineSpec => ({
  id,
  name: "desk-1",
  role: "vdi",
  osType: "linux",
  vcpus: 2,
  memoryMiB: 2048,
  mac: "52:54:00:12:34:56",
  network: "default",
  video: "qxl",
  iso: null,
  ...values,
});
const build = (
  values: Partial<MachineSpec> = {},
  facts = tcg,
  disk: string | null = "/images/desk-1.qcow2",
) => buildDomainXml(spec(values), disk, facts);
const odd = `/images/a "b" 'c' <d> & e;$(f).qcow2`;

/** A domain as another program could have made it. */
const foreign = `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>old &amp; odd</name><uuid>${id}</uuid>
  <metadata><libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0"><libosinfo:os id="x"/></libosinfo:libosinfo></metadata>
  <memory unit='GiB'>1</memory><vcpu placement='static' current='2'>4</vcpu>
  <os><type machine='pc'>hvm</type></os>
  <devices>
    <disk type='block'><source dev='/dev/vg/root'/><target dev='hda' bus='ide'/></disk>
    <disk type='network'><source protocol='rbd' name='a/b'/><target dev='hdb'/></disk>
    <disk type='volume' device='lun'><source pool='p' volume='v'/><target dev='sda'/></disk>
    <disk type='file' device='floppy'><source file='/floppy'/><target dev='fda'/></disk>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>
    <interface type='user'><mac address='52:54:00:AA:BB:CC'/></interface>
    <graphics type='sdl'/>
    <graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>
  </devices>
  <qemu:commandline><qemu:arg value='-foo'/></qemu:commandline>
</domain>`;

Deno.test("buildDomainXml() makes what readDomain() reads", () => {
  const domain = readDomain(build({ iso: "/iso/os.iso" }));
  assert.deepEqual(domain, {
    id,
    name: "desk-1",
    type: "qemu",
    machine: { role: "vdi", osType: "linux", owned: true, imageVersion: 0 },
    vcpus: 2,
    memoryMiB: 2048,
    mac: "52:54:00:12:34:56",
    network: "default",
    video: "qxl",
    iso: "/iso/os.iso",
    disks: [
      {
        target: "vda",
        bus: "virtio",
        device: "disk",
        path: "/images/desk-1.qcow2",
        format: "qcow2",
        readOnly: false,
      },
      { target: "sda", bus: "sata", device: "cdrom", path: "/iso/os.iso", format: "raw", readOnly: true },
    ],
    displays: [{ protocol: "spice", port: null, address: "127.0.0.1" }],
    guestAgentChannel: "unknown",
    onReboot: "restart",
  });
});

Deno.test("buildDomainXml() closes the display with a password of its own each time", () => {
  const passwords = [build(), build()].map((xml) => {
    assert.match(xml, /passwdValidTo="1970-01-01T00:00:01"/);
    assert.match(xml, /<listen type="address" address="127.0.0.1"\/>/);
    return /passwd="([\w-]{32})"/.exec(xml)?.[1];
  });
  assert.ok(passwords[0] && passwords[0] !== passwords[1]);
});

Deno.test("buildDomainXml() makes a display without JPEG, with streaming only of video", () => {
  const xml = build();
  for (
    const part of [`<jpeg compression="never"/>`, `<zlib compression="never"/>`, `<streaming mode="filter"/>`]
  ) {
    assert.ok(xml.includes(part), part);
  }
});

Deno.test("buildDomainXml() falls back to VNC where QEMU has no SPICE", () => {
  const xml = build({}, { ...tcg, displays: ["vnc"] });
  assert.deepEqual(readDomain(xml).displays.map(({ protocol }) => protocol), ["vnc"]);
  assert.doesNotMatch(xml, /spice/);
  assert.match(xml, /passwd="[\w-]{8}"/, "VNC uses 8 characters only");
});

Deno.test("buildDomainXml() gives Windows local time, and Hyper-V features where KVM has them", () => {
  assert.match(build({ osType: "linux" }), /<clock offset="utc">/);
  const underKvm = build({ osType: "windows" }, kvm);
  for (
    const part of [
      `<clock offset="localtime">`,
      `<relaxed state="on"/>`,
      `name="hypervclock"`,
      "host-passthrough",
    ]
  ) {
    assert.ok(underKvm.includes(part), part);
  }
  const underTcg = build({ osType: "windows" });
  assert.match(underTcg, /<clock offset="localtime">/);
  assert.doesNotMatch(underTcg, /hyperv/, "QEMU has them only with KVM");
});

Deno.test("buildDomainXml() connects to a network, a bridge or nothing", () => {
  assert.match(build(), /<interface type="network">.*<source network="default"\/>/s);
  assert.match(build({ network: "bridge:br0" }), /<interface type="bridge">.*<source bridge="br0"\/>/s);
  assert.doesNotMatch(build({ network: "none" }), /<interface/);
  assert.equal(readDomain(build({ network: "bridge:br0" })).network, "bridge:br0");
});

Deno.test("every value goes through XML unharmed, whatever it contains", () => {
  const network = `n"'<&>`;
  const domain = readDomain(build({ iso: odd, network }, tcg, odd));
  assert.deepEqual(domain.disks.map(({ path }) => path), [odd, odd]);
  assert.equal(domain.network, network);
  assert.equal(readDomain(setDisk(build(), "vda", odd)).disks[0]?.path, odd);
  assert.equal(readDomain(applyEdit(build(), { iso: odd })).iso, odd);
});

Deno.test("readDomain() takes foreign domains as they come", () => {
  const domain = readDomain(foreign);
  assert.deepEqual({ ...domain, disks: domain.disks.map(({ target, path }) => [target, path]) }, {
    id,
    name: "old & odd",
    type: "kvm",
    machine: null,
    vcpus: 2,
    memoryMiB: 1024,
    mac: "52:54:00:aa:bb:cc",
    network: "user",
    video: null,
    iso: null,
    disks: [["hda", "/dev/vg/root"], ["hdb", null], ["sda", null], ["hdc", null]],
    displays: [{ protocol: "vnc", port: null, address: "0.0.0.0" }],
    guestAgentChannel: null,
    onReboot: "restart",
  });
  assert.deepEqual(readDomain(`<domain><name>x</name></domain>`).disks, []);
});

Deno.test("readDomain() refuses what is not a domain, and expands no entities", () => {
  for (const xml of ["", "<domain>", "<network/>", "no xml"]) {
    assert.throws(
      () => readDomain(xml),
      (error) => error instanceof AppError && error.code === "hypervisor_failed",
    );
  }
  const bomb = `<!DOCTYPE domain [<!ENTITY a SYSTEM "file:///etc/passwd">]><domain><name>&a;</name></domain>`;
  assert.throws(() => readDomain(bomb), AppError);
});

Deno.test("metadata is written beside that of other programs, once", () => {
  const machine = { role: "initial", osType: "windows", owned: false, imageVersion: 7 } as const;
  assert.equal(readMetadata(foreign), null);
  const xml = writeMetadata(writeMetadata(foreign, { ...machine, imageVersion: 6 }), machine);
  assert.deepEqual(readMetadata(xml), machine);
  assert.match(xml, /libosinfo:os/);
  assert.match(xml, /qemu:arg value="-foo"/);
  assert.equal(xml.match(/imageVersion/g)?.length, 1);
  const another = foreign.replace("<metadata>", `<metadata><x:machine xmlns:x="urn:other" role="vdi"/>`);
  assert.equal(readMetadata(another), null, "the namespace counts, not the name");
});

Deno.test("setDisk() replaces the source of one disk and what belonged to it", () => {
  const live = foreign.replace(
    "<disk type='block'><source dev='/dev/vg/root'/>",
    "<disk type='block'><source dev='/dev/vg/root'/><backingStore type='file'><source file='/old'/></backingStore>",
  );
  const xml = setDisk(live, null, "/images/new.qcow2");
  assert.doesNotMatch(xml, /\/dev\/vg\/root|backingStore|\/old/);
  const [disk] = readDomain(xml).disks;
  assert.deepEqual(disk, {
    target: "hda",
    bus: "ide",
    device: "disk",
    path: "/images/new.qcow2",
    format: "qcow2",
    readOnly: false,
  });
  assert.equal(readDomain(setDisk(build({}, tcg, null), null, "/new.qcow2")).disks[0]?.target, "vda");
  assert.throws(() => setDisk(foreign, "vdz", "/x"), AppError);
});

Deno.test("withScratch() writes elsewhere, ends at a reboot and has a closed display", () => {
  const xml = withScratch(build(), "/scratch/x.qcow2");
  const { disks, onReboot } = readDomain(xml);
  assert.equal(disks[0]?.path, "/scratch/x.qcow2");
  assert.equal(onReboot, "destroy");
  assert.match(xml, /passwdValidTo="1970-01-01T00:00:01"/);
});

Deno.test("closeDisplay() puts an expired password on every display", () => {
  const xml = closeDisplay(foreign);
  assert.match(xml, /<graphics type="vnc"[^>]*passwd="[\w-]{8}" passwdValidTo="1970/);
  assert.match(xml, /<graphics type="sdl"\/>/);
});

Deno.test("graphicsElement() is the whole element with another password", () => {
  const live = build().replace('autoport="yes"', 'port="5901" autoport="yes"');
  const xml = graphicsElement(live, {
    password: `a"<&`,
    expiresAt: Date.UTC(2026, 10, 22, 12, 0, 5, 900),
    connected: "disconnect",
  });
  assert.match(xml, /^<graphics type="spice" port="5901"/);
  assert.match(xml, /passwd="a&quot;&lt;&amp;"/);
  assert.match(xml, /passwdValidTo="2026-11-22T12:00:05"/);
  assert.match(xml, /connected="disconnect"/);
  assert.match(graphicsElement(live, { password: "x", expiresAt: null }), /passwdValidTo="1970/);
  assert.throws(() => graphicsElement("<domain/>", { password: "x", expiresAt: null }), AppError);
});

Deno.test("cdromElement() changes and ejects the medium", () => {
  assert.match(
    cdromElement(build(), "/iso/a.iso"),
    /^<disk type="file" device="cdrom">.*<source file="\/iso\/a.iso"\/>/s,
  );
  assert.doesNotMatch(cdromElement(build({ iso: "/iso/a.iso" }), null), /<source/);
  assert.throws(() => cdromElement("<domain/>", null), AppError);
});

Deno.test("applyEdit() changes what it is told and keeps the rest", () => {
  const before = readDomain(build());
  const xml = applyEdit(build(), {
    name: "desk-2",
    vcpus: 4,
    memoryMiB: 4096,
    network: "bridge:br0",
    video: "virtio",
    iso: "/iso/a.iso",
  });
  const after = readDomain(xml);
  assert.deepEqual({ ...after, disks: [] }, {
    ...before,
    name: "desk-2",
    vcpus: 4,
    memoryMiB: 4096,
    network: "bridge:br0",
    video: "virtio",
    iso: "/iso/a.iso",
    disks: [],
  });
  assert.match(xml, /<topology sockets="1" dies="1" cores="4" threads="1"\/>/);
  assert.match(xml, /<currentMemory unit="MiB">4096</);
  assert.equal(xml.match(/<video>/g)?.length, 1);
  assert.equal(readDomain(applyEdit(xml, {})).name, "desk-2");
});

Deno.test("applyEdit() adds and removes network and CD drive where they are missing", () => {
  assert.equal(readDomain(applyEdit(build(), { network: "none" })).network, null);
  assert.equal(readDomain(applyEdit(build({ network: "none" }), { network: "default" })).network, "default");
  const bare =
    `<domain type='qemu'><name>x</name><devices><disk device='disk'><target dev='sda'/></disk></devices></domain>`;
  const xml = applyEdit(bare, { iso: "/a.iso", vcpus: 2, video: "qxl" });
  assert.deepEqual(readDomain(xml).disks.map(({ target }) => target), ["sda", "sdb"]);
  assert.equal(readDomain(xml).video, "qxl");
});

Deno.test("applyEdit() fits the hardware to the operating system, of our own domains only", () => {
  const xml = applyEdit(build({}, kvm), { osType: "windows" });
  assert.equal(readMetadata(xml)?.osType, "windows");
  assert.match(xml, /<clock offset="localtime">/);
  assert.match(xml, /<hyperv/);
  const back = applyEdit(xml, { osType: "linux" });
  assert.doesNotMatch(back, /<hyperv|localtime/);
  const adopted = writeMetadata(foreign, { role: "simple", osType: "linux", owned: false, imageVersion: 0 });
  const edited = applyEdit(adopted, { osType: "windows" });
  assert.equal(readMetadata(edited)?.osType, "windows");
  assert.doesNotMatch(edited, /<clock/);
});

Deno.test("listenOn() moves displays between the loopback and all addresses, and leaves addresses of one's own", () => {
  const loopback = build();
  assert.equal(listenOn(loopback, "loopback"), loopback);
  const everywhere = listenOn(loopback, "all");
  assert.deepEqual(readDomain(everywhere).displays.map(({ address }) => address), ["0.0.0.0"]);
  assert.doesNotMatch(everywhere, /127\.0\.0\.1/);
  assert.deepEqual(readDomain(listenOn(everywhere, "loopback")).displays, readDomain(loopback).displays);
  const own = everywhere.replaceAll("0.0.0.0", "192.0.2.7");
  assert.equal(listenOn(own, "loopback"), own);
  assert.equal(listenOn(own, "all"), own);
});
