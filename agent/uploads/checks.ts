import { extname } from "node:path";
import type { FinishedUpload } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { isIso, requireImportable } from "../images/import_checks.ts";
import { readQcow2Header } from "../images/qcow2_header.ts";

/** What the contents of a file of each suffix must be. */
const formatsOf: Record<string, readonly string[]> = {
  ".iso": ["iso"],
  ".qcow2": ["qcow2"],
  ".raw": ["raw"],
  ".img": ["raw", "qcow2"],
  ".vmdk": ["vmdk"],
  ".vdi": ["vdi"],
  ".vhdx": ["vhdx"],
};

const words: Record<string, string> = { iso: "an ISO image", raw: "a raw disk image" };

/**
 * Finds out what a file is by its contents, and whether it may be used here.
 * @throws {AppError} `invalid` for what reaches beyond itself, is encrypted, or is not what its name says.
 */
export async function checkUpload(
  host: Host,
  path: string,
  fileName: string,
): Promise<Omit<FinishedUpload, "path">> {
  const suffix = extname(fileName).toLowerCase();
  const found = await readFormat(host, path, fileName);
  if (formatsOf[suffix]?.includes(found.format)) return found;
  const what = words[found.format] ?? `a disk image of format ${found.format}`;
  throw new AppError(
    "invalid",
    `Finish ${fileName}: its contents are ${what}. Upload it under a name that ends in ${
      suffixOf(found.format)
    }.`,
  );
}

const suffixOf = (format: string) =>
  Object.entries(formatsOf).filter(([, formats]) => formats.includes(format)).map(([suffix]) => suffix).join(
    " or ",
  );

async function readFormat(
  host: Host,
  path: string,
  fileName: string,
): Promise<Omit<FinishedUpload, "path">> {
  if (await isIso(path)) return { format: "iso", virtualBytes: (await Deno.stat(path)).size };
  try {
    const header = await readQcow2Header(path).catch((error) => {
      // requireImportable() says it in words.
      if (error instanceof RangeError) return null;
      throw error;
    });
    if (header?.backingName != null) {
      throw new AppError(
        "invalid",
        `it is based on another file, ${header.backingName}. Flatten it first: ` +
          "qemu-img convert -O qcow2",
      );
    }
    const { format, virtualBytes } = await requireImportable(host, path);
    return { format, virtualBytes };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const why = error.message.replace(`Import ${path}: `, "").replaceAll(path, fileName).replace(/\.$/, "");
    throw new AppError("invalid", `Finish ${fileName}: ${why}.`, { cause: error });
  }
}
