import type { Element } from "@xmldom/xmldom";
import { z } from "zod";
import { OsType, Role } from "../../contracts/machine.ts";
import { append, first, parse, plan, remove, serialize } from "./xml.ts";

/** The XML namespace of what KVM-VDI writes into a domain's metadata. */
export const metadataNamespace = "https://kvm-vdi.org/xmlns/domain/1";

/** What makes a domain one of KVM-VDI's machines; it lives in the domain itself, so that nothing can drift. */
export interface MachineMetadata {
  role: Role;
  osType: OsType;
  /** Whether its disk files were made by KVM-VDI; those of an adopted domain never are. */
  owned: boolean;
  /** Of an initial: the version of its current image; 0 before the first copy. */
  imageVersion: number;
}

const Attributes = z.object({
  role: Role,
  osType: OsType.catch("linux"),
  owned: z.enum(["yes", "no"]).catch("no"),
  imageVersion: z.coerce.number().int().nonnegative().catch(0),
});

const find = (domain: Element): Element | null =>
  [...first(domain, "metadata")?.children ?? []]
    .find((child) => child.namespaceURI === metadataNamespace && child.localName === "machine") ?? null;

/** The metadata of a parsed domain; null when KVM-VDI does not manage it. */
export function metadataOf(domain: Element): MachineMetadata | null {
  const machine = find(domain);
  if (!machine) return null;
  const attributes = Object.fromEntries([...machine.attributes].map(({ name, value }) => [name, value]));
  const parsed = Attributes.safeParse(attributes);
  return parsed.success ? { ...parsed.data, owned: parsed.data.owned === "yes" } : null;
}

export const readMetadata = (xml: string): MachineMetadata | null => metadataOf(parse(xml, "domain"));

/** The domain with this metadata in place of what was there. Other programs' metadata stays. */
export function writeMetadata(xml: string, metadata: MachineMetadata): string {
  const domain = parse(xml, "domain");
  const old = find(domain);
  if (old) remove([old]);
  append(first(domain, "metadata") ?? append(domain, plan("metadata")), metadataPlan(metadata));
  return serialize(domain);
}

export const metadataPlan = ({ role, osType, owned, imageVersion }: MachineMetadata) =>
  plan("kvm-vdi:machine", {
    "xmlns:kvm-vdi": metadataNamespace,
    role,
    osType,
    owned: owned ? "yes" : "no",
    imageVersion,
  });
