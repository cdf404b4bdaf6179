import { type Document, DOMImplementation, DOMParser, type Element, XMLSerializer } from "@xmldom/xmldom";
import { AppError } from "../../contracts/errors.ts";

/** An element to be made. Attributes that are undefined and children that are null or false are left out. */
export interface Plan {
  name: string;
  attributes: Record<string, string | number | undefined>;
  children: (Plan | string | null | false)[];
}

export const plan = (
  name: string,
  attributes: Plan["attributes"] = {},
  ...children: Plan["children"]
): Plan => ({ name, attributes, children });

/** Writes a plan as indented XML; the library escapes every value. */
export function render(root: Plan): string {
  const document = new DOMImplementation().createDocument(null, root.name, null);
  const element = document.documentElement!;
  fill(element, root);
  return serialize(element);
}

/** Makes the planned element as the last child of `parent`, or before `before`. */
export function append(parent: Element, child: Plan, before: Element | null = null): Element {
  const element = parent.ownerDocument!.createElement(child.name);
  fill(element, child);
  parent.insertBefore(element, before);
  return element;
}

function fill(element: Element, { attributes, children }: Plan): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) {
    if (typeof child === "string") element.appendChild(element.ownerDocument!.createTextNode(child));
    else if (child) append(element, child);
  }
}

/**
 * Parses XML whose root element is `root`.
 * @throws {AppError} `hypervisor_failed` when it is anything else.
 */
export function parse(xml: string, root: string): Element {
  let document: Document | undefined;
  try {
    document = new DOMParser({ onError: refuse }).parseFromString(xml, "text/xml");
  } catch (cause) {
    throw new AppError("hypervisor_failed", `Read libvirt's XML: it is not well formed.`, { cause });
  }
  const element = document.documentElement;
  if (element?.tagName !== root) {
    throw new AppError(
      "hypervisor_failed",
      `Read libvirt's XML: expected <${root}>, got <${element?.tagName}>.`,
    );
  }
  return element;
}

function refuse(_level: string, message: string): never {
  throw new SyntaxError(message);
}

export const serialize = (element: Element): string =>
  new XMLSerializer().serializeToString(element, { requireWellFormed: true });

/** The child elements called `name`, at each step of a path such as `devices/disk`. */
export function select(from: Element, path: string): Element[] {
  return path.split("/").reduce<Element[]>(
    (elements, name) =>
      elements.flatMap((element) => [...element.children].filter((child) => child.tagName === name)),
    [from],
  );
}

export const first = (from: Element, path: string): Element | null => select(from, path)[0] ?? null;

/** The text of the first element at `path`, trimmed; null when there is none. */
export const textOf = (from: Element, path: string): string | null =>
  first(from, path)?.textContent?.trim() || null;

/** An attribute of the first element at `path`; null when there is none. */
export const attributeOf = (from: Element, path: string, name: string): string | null =>
  first(from, path)?.getAttribute(name) || null;

/** Replaces the text of a child, which is made when it is missing. */
export function setText(parent: Element, name: string, text: string): Element {
  const child = first(parent, name) ?? append(parent, plan(name));
  child.textContent = text;
  return child;
}

export function remove(elements: Element[]): void {
  for (const element of elements) element.parentNode?.removeChild(element);
}
