/** The XML of libvirt's domains: made, read and changed here and nowhere else. */
export { attachedDataDisk, dataDiskElement, dataDiskOf, isDataDisk, withDataDisk } from "./data_disk_xml.ts";
export { buildDomainXml, type BuildFacts, type BuildOptions } from "./domain_build.ts";
export {
  applyEdit,
  cdromElement,
  closeDisplay,
  type DisplayAccess,
  graphicsElement,
  listenOn,
  setDisk,
  withScratch,
} from "./domain_edit.ts";
export { type MachineMetadata, metadataNamespace, readMetadata, writeMetadata } from "./domain_metadata.ts";
export { type ParsedDisk, type ParsedDisplay, type ParsedDomain, readDomain } from "./domain_read.ts";
