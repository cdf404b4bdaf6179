/** The image files of a fake agent, in memory. Their contents are a header that says what they are, and noise. */
import { createHash } from "node:crypto";
import { basename, dirname } from "node:path";
import type { Domain, ImageResult } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { FileIdentity, FileKind, StoredFile } from "../../contracts/storage.ts";

export interface FakeFile {
  content: Uint8Array;
  allocatedBytes: number;
  modifiedAt: number;
  sealed: boolean;
}

/** What the header of an image says. */
export interface FakeHeader {
  format: string;
  virtualBytes: number;
  backingPath: string | null;
}

const typicalAllocatedBytes = 196_608;

/** Files by path. Two agents that share storage share one map. */
export class FakeFiles {
  constructor(
    private readonly domains: ReadonlyMap<string, Domain>,
    readonly all: Map<string, FakeFile> = new Map(),
  ) {}

  has(path: string): boolean {
    return this.all.has(path);
  }

  /** Makes an image, or another one in its place, with contents of its own. */
  create(path: string, virtualBytes: number, backingPath: string | null = null, format = "qcow2"): FakeFile {
    return this.put(path, makeContent({ format, virtualBytes, backingPath }));
  }

  put(path: string, content: Uint8Array, allocatedBytes = typicalAllocatedBytes): FakeFile {
    const file = { content, allocatedBytes, modifiedAt: Date.now(), sealed: false };
    this.all.set(path, file);
    return file;
  }

  /** Changes the contents, as a machine that runs on the image does. */
  write(path: string): void {
    const file = this.all.get(path);
    if (!file) return;
    file.content = makeContent(headerOf(file));
    file.modifiedAt = Date.now();
  }

  /** Changes what an image says about itself; the rest of its contents stays. */
  rewrite(path: string, change: Partial<FakeHeader>): void {
    const file = this.require(path);
    file.content = makeContent({ ...headerOf(file), ...change });
    file.modifiedAt = Date.now();
  }

  /** @throws {AppError} `not_found`. */
  require(path: string): FakeFile {
    const file = this.all.get(path);
    if (!file) throw new AppError("not_found", `There is no file ${path} on this hypervisor.`);
    return file;
  }

  /** An image with all that it is based on; the last one may be missing. */
  chain(path: string): string[] {
    const paths: string[] = [];
    for (let next: string | null = path; next !== null && !paths.includes(next);) {
      paths.push(next);
      const file = this.all.get(next);
      next = file ? headerOf(file).backingPath : null;
    }
    return paths;
  }

  /** @throws {AppError} `conflict` when a file of the chain is not there. */
  requireWhole(path: string, what: string): void {
    const missing = this.chain(path).find((link) => !this.has(link));
    if (missing !== undefined) {
      throw new AppError("conflict", `${what}: ${missing} is missing. Restore the file.`);
    }
  }

  /** Domains that have the file as a disk or in their CD drive. */
  usersOf(path: string): Domain[] {
    return [...this.domains.values()].filter(({ disks, iso }) =>
      iso === path || disks.some((disk) => disk.path === path)
    );
  }

  /** Names of domains and of stray files that are based on it. */
  basedOn(path: string): { id: string | null; name: string }[] {
    const domains = [...this.domains.values()].filter(({ disks }) =>
      disks.some((disk) =>
        disk.path !== null &&
        (disk.backingPath === path || this.chain(disk.path).slice(1).includes(path))
      )
    );
    const used = new Set([...this.domains.values()].flatMap(({ disks }) => disks.map((disk) => disk.path)));
    const strays = [...this.all.keys()].filter((other) =>
      !used.has(other) && this.chain(other).slice(1).includes(path)
    );
    return [
      ...domains.map(({ id, name }) => ({ id, name })),
      ...strays.map((name) => ({ id: null, name })),
    ];
  }

  /** @throws {AppError} `conflict` when a running machine writes to the image. */
  requireQuiet(path: string, what: string): void {
    const writer = this.usersOf(path).find(({ state, virtualSnapshot }) =>
      state !== "shut-off" && state !== "crashed" && !virtualSnapshot
    );
    if (writer) {
      throw new AppError("conflict", `${what}: ${writer.name} is running on ${path}. Shut it down first.`);
    }
  }

  isUsed = (path: string): boolean => this.usersOf(path).length > 0 || this.basedOn(path).length > 0;

  result(path: string, hashed = false): ImageResult {
    const file = this.require(path);
    const { format, virtualBytes } = headerOf(file);
    return {
      path,
      version: versionOf(path),
      format,
      virtualBytes,
      allocatedBytes: file.allocatedBytes,
      bytes: file.content.length,
      sha256: hashed ? sha256Of(file.content) : null,
    };
  }

  identity(path: string): FileIdentity {
    const file = this.require(path);
    return {
      path,
      bytes: file.content.length,
      modifiedAt: file.modifiedAt,
      ...headerOf(file),
      headSha256: sha256Of(file.content.subarray(0, 65_536)),
    };
  }

  storage(): StoredFile[] {
    return [...this.all].map(([path, file]) => {
      const users = [...this.usersOf(path).map(({ id }) => id), ...this.basedOn(path).map(({ id }) => id)];
      return {
        path,
        kind: this.#kindOf(path),
        ...headerOf(file),
        allocatedBytes: file.allocatedBytes,
        modifiedAt: file.modifiedAt,
        domainIds: [...new Set(users.filter((id) => id !== null))],
        version: versionOf(path),
        inUse: this.isUsed(path),
      };
    });
  }

  #kindOf(path: string): FileKind {
    const { backingPath } = headerOf(this.require(path));
    if (path.endsWith(".partial")) return "partial";
    if (path.endsWith(".iso")) return "iso";
    if (path.endsWith(".data.qcow2")) return "data";
    if (dirname(path).endsWith("/scratch")) return "scratch";
    const own = /-[0-9a-f]{8}(\.v\d+)?\.qcow2$/.test(basename(path));
    if (versionOf(path) !== null) return this.#ownerOf(path) ? "version" : "stray";
    if (backingPath !== null) return this.usersOf(path).length > 0 ? "overlay" : "stray";
    return this.usersOf(path).length > 0 ? "disk" : own ? "stray" : "import";
  }

  #ownerOf(path: string): Domain | undefined {
    const short = /-([0-9a-f]{8})\.v\d+\.qcow2$/.exec(path)?.[1];
    return [...this.domains.values()].find(({ id }) => id.slice(0, 8) === short);
  }
}

export const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export const versionOf = (path: string): number | null => {
  const number = /\.v(\d+)\.qcow2$/.exec(path)?.[1];
  return number === undefined ? null : Number(number);
};

/** An image whose noise nobody else has. */
function makeContent(header: FakeHeader): Uint8Array {
  const noise = crypto.randomUUID().repeat(8);
  return new TextEncoder().encode(JSON.stringify({ ...header, noise }));
}

/** What a file is; raw when its contents are not ours. */
export function headerOf({ content }: FakeFile): FakeHeader {
  const text = new TextDecoder().decode(content);
  if (!text.startsWith('{"format":')) {
    return { format: "raw", virtualBytes: content.length, backingPath: null };
  }
  const { format, virtualBytes, backingPath } = JSON.parse(text) as FakeHeader;
  return { format, virtualBytes, backingPath };
}
