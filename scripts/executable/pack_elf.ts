/**
 * Makes one executable out of a stock deno ELF and a program: the unneeded PT_NOTE header becomes a PT_LOAD of a new
 * segment behind the file, which holds the entry stub (stub.c), deno's arguments, an environment file and the program.
 * Field offsets are those of the ELF-64 specification.
 */

export interface PackElf {
  denoPath: string;
  stubPath: string;
  /** One self-contained JavaScript module. */
  programPath: string;
  /** What deno is told before the program's path, as `["run", "-A"]`. */
  denoArguments: string[];
  /** Set in the program's environment unless the user has set them. */
  environment: Record<string, string>;
  outPath: string;
}

const segmentAlignment = 0x10000;
const programHeader = { load: 1, note: 4, readAndExecute: 5 } as const;
const stubMagic = "KVMVDI01";

/** Writes `outPath`, whole or not at all. Throws when the ELF or the stub is not what it should be. */
export async function packElf(
  { denoPath, stubPath, programPath, denoArguments, environment, outPath }: PackElf,
): Promise<void> {
  const [elf, stub, program] = await Promise.all(
    [denoPath, stubPath, programPath].map((path) => Deno.readFile(path)),
  );
  if (!elf || !stub || !program) throw new Error("nothing to pack");
  const header = new ElfHeader(elf);
  const fileOffset = roundUp(elf.length);
  const address = roundUp(header.memoryEnd + segmentAlignment);
  const segment = layOutSegment({
    stub,
    program,
    address,
    originalEntry: header.entry,
    argumentCount: denoArguments.length,
    arguments: encode(denoArguments.map((argument) => `${argument}\0`).join("")),
    environment: encode(Object.entries(environment).map(([key, value]) => `${key}=${value}\n`).join("")),
  });
  header.turnNoteIntoLoad(fileOffset, address, segment.length);
  header.entry = address;

  const partPath = `${outPath}.part`;
  {
    using file = await Deno.open(partPath, { write: true, create: true, truncate: true, mode: 0o755 });
    for (const bytes of [elf, new Uint8Array(fileOffset - elf.length), segment]) await writeAll(file, bytes);
    await file.sync();
  }
  await Deno.rename(partPath, outPath);
}

class ElfHeader {
  readonly #view: DataView;
  readonly #noteAt: number;
  /** First address behind everything the file loads. */
  readonly memoryEnd: number;

  constructor(elf: Uint8Array) {
    this.#view = new DataView(elf.buffer, elf.byteOffset, elf.length);
    if (this.#view.getUint32(0) !== 0x7f454c46 || elf[4] !== 2) throw new Error("not a 64-bit ELF file");
    const headers = this.#programHeaders();
    const note = headers.findIndex(({ type }) => type === programHeader.note);
    // Loadable segments have to be in ascending order, and ours has the highest address.
    if (note < 0 || headers.slice(note).some(({ type }) => type === programHeader.load)) {
      throw new Error("the ELF file has no PT_NOTE behind its last PT_LOAD");
    }
    this.#noteAt = headers[note]?.at ?? 0;
    this.memoryEnd = Math.max(
      ...headers.filter(({ type }) => type === programHeader.load).map(({ at }) =>
        this.#get(at + 16) + this.#get(at + 40)
      ),
    );
  }

  get entry(): number {
    return this.#get(24);
  }

  set entry(address: number) {
    this.#set(24, address);
  }

  turnNoteIntoLoad(fileOffset: number, address: number, length: number): void {
    this.#view.setUint32(this.#noteAt, programHeader.load, true);
    this.#view.setUint32(this.#noteAt + 4, programHeader.readAndExecute, true);
    const fields = [fileOffset, address, address, length, length, segmentAlignment];
    fields.forEach((value, index) => this.#set(this.#noteAt + 8 + 8 * index, value));
  }

  #programHeaders(): { at: number; type: number }[] {
    const [tableAt, size, count] = [
      this.#get(32),
      this.#view.getUint16(54, true),
      this.#view.getUint16(56, true),
    ];
    return Array.from({ length: count }, (_, index) => {
      const at = tableAt + index * size;
      return { at, type: this.#view.getUint32(at, true) };
    });
  }

  #get(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  #set(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value), true);
  }
}

interface SegmentParts {
  stub: Uint8Array;
  program: Uint8Array;
  address: number;
  originalEntry: number;
  argumentCount: number;
  arguments: Uint8Array;
  environment: Uint8Array;
}

/** The bytes of the new segment, with the stub's `struct config` filled in. */
function layOutSegment(parts: SegmentParts): Uint8Array {
  const pieces = [parts.stub, parts.arguments, parts.environment, parts.program];
  const segment = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let offset = 0;
  const offsets = pieces.map((piece) => {
    segment.set(piece, offset);
    offset += piece.length;
    return offset - piece.length;
  });
  const configAt = findConfig(parts.stub);
  const [argumentsAt, environmentAt, programAt] = offsets.slice(1).map((at) => at - configAt);
  const fields = [
    parts.address,
    parts.originalEntry,
    parts.argumentCount,
    argumentsAt,
    environmentAt,
    parts.environment.length,
    programAt,
    parts.program.length,
  ];
  const view = new DataView(segment.buffer, configAt + stubMagic.length);
  fields.forEach((value, index) => view.setBigUint64(8 * index, BigInt(value ?? 0), true));
  return segment;
}

function findConfig(stub: Uint8Array): number {
  const at = new TextDecoder("latin1").decode(stub).indexOf(stubMagic);
  if (at < 0) throw new Error("the stub has no configuration; rebuild it with build_stub");
  return at;
}

function roundUp(value: number): number {
  return Math.ceil(value / segmentAlignment) * segmentAlignment;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
