import { AppError } from "../../contracts/errors.ts";
import { ProcessError, run } from "../../lib/process.ts";

/** What the agent starts, and the Debian package that has it. */
const packageOf = {
  "virsh": "libvirt-clients",
  "libvirtd": "libvirt-daemon-system",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-img": "qemu-utils",
} as const;

const packages = Object.values(packageOf);
const aptInstall = ["apt-get", "install", "-y", "--no-install-recommends", ...packages];
/** sudo and sshd may leave the last ones out of PATH. */
const directories = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * Makes sure that libvirt and QEMU are installed.
 * @throws {AppError} `conflict` with what to do when they are not and may not, or cannot, be installed.
 */
export async function requirePackages(mayInstall: boolean, say: (text: string) => void): Promise<void> {
  const missing = await findMissing();
  if (missing.length === 0) return;
  const lacking = `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing on this host`;
  if (!mayInstall) {
    throw new AppError(
      "conflict",
      `Install the agent: ${lacking}. On Debian and Ubuntu:\n  ${aptInstall.join(" ")}\n` +
        "or let the agent do that with --install-packages.",
    );
  }
  if (!await isInstalled("apt-get")) {
    throw new AppError(
      "conflict",
      `Install the agent: ${lacking}, and without apt-get they cannot be installed from here. Install libvirt and QEMU with ` +
        "the package manager of this host, then try again.",
    );
  }
  say(`installing libvirt and QEMU: ${missing.join(", ")} missing`);
  await installPackages();
  const still = await findMissing();
  if (still.length > 0) {
    throw new AppError(
      "conflict",
      `Install the agent: ${still.join(", ")} missing although apt-get has installed ${packages.join(" ")}.`,
    );
  }
}

async function installPackages(): Promise<void> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    // The lists of a fresh host may be empty or old.
    await run(aptInstall, { env }).catch(async () => {
      await run(["apt-get", "update"], { env });
      await run(aptInstall, { env });
    });
  } catch (error) {
    const said = error instanceof ProcessError ? error.stderr.trim().slice(-500) : String(error);
    throw new AppError(
      "conflict",
      `Install the agent: ${
        aptInstall.join(" ")
      } failed: ${said}\nInstall these packages by hand, then try again.`,
      { cause: error },
    );
  }
}

async function findMissing(): Promise<string[]> {
  const names = Object.keys(packageOf);
  const found = await Promise.all(names.map(isInstalled));
  return names.filter((_, index) => !found[index]);
}

async function isInstalled(name: string): Promise<boolean> {
  const looks = directories.map((dir) => Deno.stat(`${dir}/${name}`).then(() => true, ignoreMissing));
  return (await Promise.all(looks)).some(Boolean);
}

function ignoreMissing(error: unknown): false {
  if (error instanceof Deno.errors.NotFound) return false;
  throw error;
}
