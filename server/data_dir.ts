import { AppError } from "../contracts/errors.ts";

/** What the dashboard keeps, and where. */
export interface DataDir extends AsyncDisposable {
  databasePath: string;
  backupFolder: string;
  certificateFolder: string;
  /** The dashboard's own SSH keys. */
  sshFolder: string;
}

/**
 * Makes the folder (for its owner only) and holds it for this process.
 * @throws {AppError} `unavailable` when it cannot be written or another dashboard uses it.
 */
export async function openDataDir(path: string): Promise<DataDir> {
  const dir = {
    databasePath: `${path}/kvm-vdi.db`,
    backupFolder: `${path}/backups`,
    certificateFolder: `${path}/certificates`,
    sshFolder: `${path}/ssh`,
  };
  let lock: Deno.FsFile;
  try {
    for (const folder of [path, dir.backupFolder, dir.certificateFolder]) {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    }
    lock = await Deno.open(`${path}/lock`, { write: true, create: true, mode: 0o600 });
  } catch (cause) {
    const message = `Opening the data directory ${path} failed: ${
      cause instanceof Error ? cause.message : cause
    }`;
    throw new AppError("unavailable", `${message}. Choose one with --data-dir, or change its owner.`, {
      cause,
    });
  }
  if (!await lock.tryLock(true)) {
    lock.close();
    throw new AppError("unavailable", `Another dashboard uses the data directory ${path}. Stop it first.`);
  }
  return {
    ...dir,
    [Symbol.asyncDispose]: () => {
      lock.close();
      return Promise.resolve();
    },
  };
}
