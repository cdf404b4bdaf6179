import { statfs } from "node:fs/promises";
import type { StoragePath } from "../../contracts/hypervisor.ts";
import type { AgentConfig } from "../config.ts";

/** Size and free space of the file systems that hold the agent's directories. */
export function readStorage(
  { imageDir, isoDir, scratchDir }: Pick<AgentConfig, "imageDir" | "isoDir" | "scratchDir">,
): Promise<StoragePath[]> {
  const paths = [["images", imageDir], ["iso", isoDir], ["scratch", scratchDir]] as const;
  return Promise.all(paths.map(async ([kind, path]) => {
    const { bsize, blocks, bavail } = await statfs(path);
    return { kind, path, totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  }));
}
