import type { Element } from "@xmldom/xmldom";
import { parse, select } from "./xml.ts";

const displaysOf = (xml: string): Element[] =>
  select(parse(xml, "domain"), "devices/graphics")
    .filter((graphics) => ["spice", "vnc"].includes(graphics.getAttribute("type") ?? ""));

/** Whether no display of the XML (with security info) lets anybody in: each has a password that has expired. */
export const isDisplayClosed = (xml: string): boolean =>
  displaysOf(xml).every((graphics) => {
    const validTo = graphics.getAttribute("passwdValidTo");
    return graphics.getAttribute("passwd") && validTo && Date.parse(`${validTo}Z`) < Date.now();
  });

/** Whether QEMU was started with a display that takes passwords; without, none can be set until it starts again. */
export const hasDisplayPassword = (xml: string): boolean =>
  displaysOf(xml).every((graphics) => Boolean(graphics.getAttribute("passwd")));
