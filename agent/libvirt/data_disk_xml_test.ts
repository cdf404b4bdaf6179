import assert from "node:assert/strict";
import { attachedDataDisk, dataDiskElement, dataDiskOf, readDomain, withDataDisk } from "./domain_xml.ts";

const data = "/images/anna-0a1b2c3d.data.qcow2";
const disk = (target: string, path: string) =>
  `<disk type="file" device="disk"><driver name="qemu" type="qcow2"/><source file="${path}"/>` +
  `<target dev="${target}" bus="virtio"/></disk>`;
const domain = (...disks: string[]) =>
  `<domain type="kvm"><name>desk</name><devices>${disks.join("")}</devices></domain>`;
const own = disk("vda", "/images/desk-12345678.qcow2");

Deno.test("withDataDisk() adds, replaces and removes the data disk and leaves the machine's own alone", () => {
  const added = withDataDisk(domain(own), data);
  assert.deepEqual(readDomain(added).disks.map(({ target, path }) => [target, path]), [
    ["vda", "/images/desk-12345678.qcow2"],
    ["vdb", data],
  ]);
  assert.match(added, /<serial>kvm-vdi-data<\/serial>/);
  const other = "/images/otto-99999999.data.qcow2";
  const replaced = withDataDisk(added, other);
  assert.equal(dataDiskOf(readDomain(replaced))?.path, other);
  assert.equal(readDomain(replaced).disks.length, 2);
  assert.equal(readDomain(withDataDisk(replaced, null)).disks.length, 1);
});

Deno.test("dataDiskElement() takes the first free name after the machine's own", () => {
  assert.match(dataDiskElement(domain(own), data), /dev="vdb"/);
  assert.match(dataDiskElement(domain(own, disk("vdb", "/images/second.qcow2")), data), /dev="vdc"/);
  assert.match(dataDiskElement(domain(), data), /dev="vdb"/, "vda is for the machine's own disk");
});

Deno.test("a data disk is told by the name of its file", () => {
  assert.equal(attachedDataDisk(domain(own)), null);
  assert.match(attachedDataDisk(withDataDisk(domain(own), data)) ?? "", /anna-0a1b2c3d\.data\.qcow2/);
  assert.equal(dataDiskOf(readDomain(domain(disk("vdb", "/images/data.qcow2")))), null);
});
