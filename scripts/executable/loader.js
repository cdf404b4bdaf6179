/**
 * The first code of the executable. Behind the end of its ELF file lie the bundled program, the files of the web
 * interface, and an index (parts.ts writes them); this reads the program and runs it.
 *
 * The program is not a module that Deno loads: Deno would read all of it with a parser of its own first, to look for
 * imports that are not there, for 60 ms and 50 MB at every start.
 */
import { createRequire } from "node:module";

const file = Deno.openSync("/proc/self/exe");

function readAt(offset, length) {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let done = 0; done < length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) throw new Error("the executable is cut short");
    done += count;
  }
  return bytes;
}

/** The last 16 bytes: a mark, and the length of the index before them. */
const size = file.statSync().size;
const end = readAt(size - 16, 16);
if (new TextDecoder().decode(end.subarray(0, 8)) !== "KVMVDI01") {
  throw new Error("the executable is incomplete");
}
const indexBytes = Number(new DataView(end.buffer).getBigUint64(8, true));
const index = JSON.parse(new TextDecoder().decode(readAt(size - 16 - indexBytes, indexBytes)));

/** What lib/embedded_files.ts declares. */
const embeddedFiles = {
  names: Object.keys(index.files),
  readGzip: (name) => Object.hasOwn(index.files, name) ? readAt(...index.files[name]) : undefined,
};
const place = "/kvm-vdi/main.js";
const program = new TextDecoder("latin1").decode(readAt(...index.program));
new Function("require", "module", "exports", "__filename", "__dirname", "embeddedFiles", program)(
  createRequire(`file://${place}`),
  { exports: {} },
  {},
  place,
  "/kvm-vdi",
  embeddedFiles,
);
