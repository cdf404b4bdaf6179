import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import { lookUpAccount } from "../../lib/accounts.ts";
import { run } from "../../lib/process.ts";

/** The user as whom a dashboard comes, and the group that may open the agent's socket. */
export const accountName = "kvm-vdi";
const newHome = "/var/lib/kvm-vdi/home";

/** Makes the user and group if they are missing; returns the user's home. */
export async function ensureAccount(say: (text: string) => void): Promise<string> {
  if (!await lookUpAccount("group", accountName)) await run(["groupadd", "--system", accountName]);
  let user = await lookUpAccount("passwd", accountName);
  if (!user) {
    say(`making the user ${accountName}, as whom dashboards come`);
    const flags = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"];
    await run(["useradd", ...flags, "--gid", accountName, "--home-dir", newHome, accountName]);
    user = await lookUpAccount("passwd", accountName);
  }
  const home = user?.[5];
  if (!home) {
    throw new AppError("conflict", `Install the agent: the user ${accountName} has no home directory.`);
  }
  await run(["usermod", "--append", "--groups", accountName, accountName]);
  await unlock();
  await Deno.mkdir(home, { recursive: true, mode: 0o755 });
  return home;
}

/** A new account is "locked", and an sshd without PAM lets nobody into such a one. `*` is no password either. */
async function unlock(): Promise<void> {
  const shadow = await lookUpAccount("shadow", accountName);
  if (shadow && /^!+$/.test(shadow[1] ?? "")) await run(["usermod", "--password", "*", accountName]);
}

const KeyLine = /^(ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})( [^\n\r]*)?$/;
/** sshd(8): nothing but forwarding, which is how the socket and the displays are reached. */
const keyOptions = "restrict,port-forwarding";

/** @throws {AppError} `invalid` unless it is a line as in `id_ed25519.pub`. */
export function parseAuthorizedKey(line: string): { key: string; line: string } {
  const match = KeyLine.exec(line.trim());
  if (!match) {
    throw new AppError(
      "invalid",
      `--authorized-key: '${
        line.slice(0, 80)
      }' is not a public key. Give one line, as the dashboard shows it.`,
    );
  }
  return { key: match[2]!, line: `${keyOptions} ${line.trim()}` };
}

/**
 * Lets the holders of these keys in. What else is in the file stays. The files belong to root, so that the account cannot
 * let anybody in by itself.
 */
export async function authorizeKeys(home: string, lines: readonly string[]): Promise<void> {
  const keys = lines.map(parseAuthorizedKey);
  const directory = join(home, ".ssh");
  const path = join(directory, "authorized_keys");
  await Deno.mkdir(directory, { recursive: true, mode: 0o755 });
  const present = (await readIfPresent(path)).split("\n").filter((line) => line.trim() !== "");
  const others = present.filter((line) => !keys.some(({ key }) => line.split(/\s+/).includes(key)));
  const text = [...others, ...keys.map(({ line }) => line)].map((line) => `${line}\n`).join("");
  await Deno.writeTextFile(`${path}.new`, text, { mode: 0o644 });
  await Deno.rename(`${path}.new`, path);
}

export async function readIfPresent(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
