import { basename, join } from "node:path";
import type { FileKind, StoredFile } from "../../contracts/storage.ts";
import type { Host } from "../host.ts";
import { dataDiskName } from "../images/files.ts";
import { isIso } from "../images/import_checks.ts";
import { readQcow2Header } from "../images/qcow2_header.ts";
import { type Holder, readUses, type Uses } from "../images/uses.ts";
import { readImageInfo } from "../libvirt/qemu_img.ts";
import { uploadPartialName } from "../uploads/names.ts";
import { directoriesOf } from "./directories.ts";

/**
 * Every file in the agent's directories. Headers are read, not whole files, and processes only for odd formats.
 * @throws {AppError} `hypervisor_failed` while libvirt does not answer: everything would look like nobody's.
 */
export async function reportStorage(host: Host): Promise<StoredFile[]> {
  await host.domains.sync();
  const [uses, paths] = await Promise.all([readUses(host), listFiles(host)]);
  const knownIds = new Set(host.domains.all().map(({ id }) => id.slice(0, 8)));
  const files = await Promise.all(paths.map((path) => describe(host, path, uses, knownIds)));
  return files.filter((file) => file !== null).sort((a, b) => a.path < b.path ? -1 : 1);
}

async function listFiles(host: Host): Promise<string[]> {
  const paths: string[] = [];
  for (const dir of directoriesOf(host)) {
    try {
      for await (const entry of Deno.readDir(dir)) if (entry.isFile) paths.push(join(dir, entry.name));
    } catch (error) {
      // One that was used before may have been removed since.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return paths;
}

async function describe(
  host: Host,
  path: string,
  uses: Uses,
  knownIds: ReadonlySet<string>,
): Promise<StoredFile | null> {
  try {
    const [stat, contents, holders] = await Promise.all([
      Deno.stat(path),
      readContents(path),
      uses.of(path),
    ]);
    const name = readName(path);
    const kind = kindOf(host, path, { name, contents, holders, known: knownIds.has(name.shortId ?? "") });
    const domainIds = [...new Set(holders.flatMap(({ id }) => id ?? []))];
    return {
      path,
      kind,
      ...contents,
      allocatedBytes: (stat.blocks ?? 0) * 512,
      modifiedAt: stat.mtime?.getTime() ?? 0,
      domainIds,
      version: name.version,
      inUse: holders.length > 0 || isWorkedOn(host, path, name) || isScratchInUse(host, path),
    };
  } catch (error) {
    // Files come and go while they are looked at.
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

interface FileName {
  /** First 8 digits of the machine's or the data disk's id; null for a file that is not the agent's own. */
  shortId: string | null;
  version: number | null;
  partial: boolean;
}

function readName(path: string): FileName {
  const match = /^.+-([0-9a-f]{8})(?:\.v(\d{1,9})|\.data)?\.qcow2(\.partial)?$/.exec(basename(path));
  return {
    shortId: match?.[1] ?? null,
    version: match?.[2] === undefined ? null : Number(match[2]),
    partial: path.endsWith(".partial"),
  };
}

interface Traits {
  name: FileName;
  contents: Contents;
  holders: Holder[];
  /** Its name bears the id of a domain that is here. */
  known: boolean;
}

function kindOf(host: Host, path: string, { name, contents, holders, known }: Traits): FileKind {
  if (host.scratchDirs().some((dir) => path.startsWith(`${dir}/`))) return "scratch";
  if (name.partial) return "partial";
  if (dataDiskName.test(basename(path))) return "data";
  if (contents.format === "iso") return "iso";
  const domains = holders.flatMap(({ id }) => host.domains.get(id ?? "") ?? []);
  const ofInitial = domains.some(({ id, role }) => role === "initial" && id.startsWith(name.shortId ?? "-"));
  if (name.version !== null && (ofInitial || known && domains.length === 0)) return "version";
  if (contents.backingPath !== null) return domains.length > 0 ? "overlay" : "stray";
  if (holders.some(({ as, id }) => as === "disk" && id !== null)) return "disk";
  if (name.version !== null) return holders.length > 0 ? "version" : "stray";
  return "import";
}

const isScratchInUse = (host: Host, path: string): boolean =>
  host.scratchDirs().some((dir) => path.startsWith(`${dir}/`)) &&
  host.domains.get(basename(path).slice(0, 36))?.virtualSnapshot === true;

/** Whether a job, a request or an upload works on the file, or on the machine that its name tells. */
export const isWorkedOn = (host: Host, path: string, { shortId } = readName(path)): boolean =>
  uploadPartialName.test(basename(path)) ||
  host.locks.heldKeys().some((key) =>
    key === path || `${key}.partial` === path || shortId !== null && key.startsWith(`${shortId}-`)
  );

type Contents = Pick<StoredFile, "format" | "virtualBytes" | "backingPath">;

/** The first bytes of the formats that qemu-img is asked about. */
const oddFormats = [/^KDMV/, /^# Disk DescriptorFile/, /^vhdxfile/, /^<<< .*VirtualBox/];

async function readContents(path: string): Promise<Contents> {
  const header = await readQcow2Header(path).catch((error) => {
    if (error instanceof RangeError) return null;
    throw error;
  });
  if (header) {
    const { virtualBytes, backingName, backingPath } = header;
    return { format: "qcow2", virtualBytes, backingPath: backingPath ?? backingName };
  }
  const { size } = await Deno.stat(path);
  if (await isIso(path)) return { format: "iso", virtualBytes: size, backingPath: null };
  const start = await readStart(path);
  if (oddFormats.some((mark) => mark.test(start)) && !path.endsWith(".partial")) {
    const info = await readImageInfo(path).catch(() => null);
    if (info) return { format: info.format, virtualBytes: info.virtualBytes, backingPath: info.backingName };
  }
  return { format: "raw", virtualBytes: size, backingPath: null };
}

async function readStart(path: string): Promise<string> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(64);
  const length = await file.read(bytes);
  return new TextDecoder("latin1").decode(bytes.subarray(0, length ?? 0));
}
