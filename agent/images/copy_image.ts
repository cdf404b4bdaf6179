import { dirname } from "node:path";
import type { Operation } from "../host.ts";
import { convert, measureCopyBytes } from "../libvirt/qemu_img.ts";
import { partialOf, removeIfPresent, replaceFile, requireSpace } from "./files.ts";

export interface CopyImage {
  from: { path: string; format: string; virtualBytes: number };
  /** The new file; it appears only once it is whole. */
  to: string;
  /** Shown as the job's stage and in errors, as "Copying the disk". */
  stage: string;
}

/**
 * Copies an image, whatever its format and chain, to one qcow2 file. Progress is in bytes of its virtual size.
 * @param undo gets what removes the copy again, half or whole
 * @throws {AppError} `conflict` when there is too little space; `hypervisor_failed`; the signal's reason.
 */
export async function copyImage(
  { from, to, stage }: CopyImage,
  op: Operation,
  undo: AsyncDisposableStack,
): Promise<void> {
  const { signal } = op;
  const { virtualBytes } = from;
  const report = (fraction: number) =>
    op.report({ stage, done: Math.round(fraction * virtualBytes), total: virtualBytes, unit: "bytes" });
  report(0);
  await requireSpace(
    dirname(to),
    stage,
    virtualBytes,
    () => measureCopyBytes(from.path, from.format, { signal }),
  );
  undo.defer(() => removeIfPresent(partialOf(to)));
  await convert(from, partialOf(to), { signal, onProgress: report });
  undo.defer(() => removeIfPresent(to));
  await replaceFile(partialOf(to), to);
  signal.throwIfAborted();
}
