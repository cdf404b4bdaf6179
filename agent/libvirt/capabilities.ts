import { parse, select } from "./xml.ts";

/** The display protocols that this QEMU really has, from `virsh domcapabilities` (SPICE is often left out of it). */
export function readDisplays(xml: string): ("spice" | "vnc")[] {
  const values = select(parse(xml, "domainCapabilities"), "devices/graphics/enum/value")
    .map((value) => value.textContent?.trim());
  return (["spice", "vnc"] as const).filter((protocol) => values.includes(protocol));
}
