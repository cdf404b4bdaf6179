import { statIfPresent } from "./files.ts";
import { type Qcow2Header, readQcow2Header } from "./qcow2_header.ts";

/** More layers than anybody stacks; also ends a chain that bites its tail. */
const deepestChain = 64;

export interface Link {
  path: string;
  /** Null when nothing says and the file does not tell. */
  format: string | null;
  header: Qcow2Header | null;
  missing: boolean;
}

/** Follows backing files from `path` down to the base. A file that is not there ends the chain as `missing`. */
export async function walkChain(path: string, format: string | null): Promise<Link[]> {
  const links: Link[] = [];
  let next: { path: string; format: string | null } | null = { path, format };
  while (next && links.length < deepestChain) {
    const link: Link = await readLink(next.path, next.format);
    links.push(link);
    const backing = link.header?.backingPath;
    next = backing ? { path: backing, format: link.header?.backingFormat ?? null } : null;
  }
  return links;
}

/** A guest can write a qcow2 header into its raw disk: headers count only where the format is qcow2 or unknown. */
async function readLink(path: string, format: string | null): Promise<Link> {
  if (!await statIfPresent(path)) return { path, format, header: null, missing: true };
  const header = format === null || format === "qcow2" ? await readQcow2Header(path) : null;
  return { path, format: format ?? (header ? "qcow2" : null), header, missing: false };
}
