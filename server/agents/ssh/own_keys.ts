/** The dashboard's own SSH keys, by which hypervisors let it in. */
import { join } from "node:path";
import type { OwnKey } from "../../../contracts/hypervisor.ts";
import { describeKey } from "./host_key.ts";
import { makePrivateKey } from "./make_key.ts";
import { type AuthMethod, type ParsedKey, utils } from "./ssh2.ts";

type Algorithm = OwnKey["algorithm"];
/** The key that is tried first comes first. */
const algorithms: Algorithm[] = ["ed25519", "rsa"];

interface StoredKey {
  own: OwnKey;
  privateKey: string;
}

export class OwnKeys {
  #keys = new Map<Algorithm, StoredKey>();
  #making = new Map<Algorithm, Promise<OwnKey>>();

  private constructor(private readonly folder: string, private readonly comment: string) {}

  /** Reads the keys in a folder; makes the folder and the first key, ed25519, if need be. */
  static async open(folder: string, hostname: string): Promise<OwnKeys> {
    const keys = new OwnKeys(folder, `kvm-vdi@${hostname}`);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    for (const algorithm of algorithms) await keys.#read(algorithm);
    await keys.create("ed25519");
    return keys;
  }

  list(): OwnKey[] {
    return algorithms.flatMap((algorithm) => this.#keys.get(algorithm)?.own ?? []);
  }

  /** Makes a key of this kind, unless there is one: a key that hypervisors know already is never replaced. */
  create(algorithm: Algorithm): Promise<OwnKey> {
    const known = this.#keys.get(algorithm);
    if (known) return Promise.resolve(known.own);
    const making = this.#making.get(algorithm) ??
      this.#make(algorithm).finally(() => this.#making.delete(algorithm));
    this.#making.set(algorithm, making);
    return making;
  }

  async #make(algorithm: Algorithm): Promise<OwnKey> {
    const path = this.#path(algorithm);
    // Whole or not at all.
    const partial = `${path}.partial`;
    await Deno.writeTextFile(partial, await makePrivateKey(algorithm, this.comment), { mode: 0o600 });
    await Deno.rename(partial, path);
    await this.#read(algorithm);
    return this.#keys.get(algorithm)!.own;
  }

  /** The ways to sign in with them. */
  methods(username: string): AuthMethod[] {
    return algorithms.flatMap((algorithm) => {
      const key = this.#keys.get(algorithm);
      return key ? [{ type: "publickey" as const, username, key: key.privateKey }] : [];
    });
  }

  /** What an admin does on a host that does not let the dashboard in. */
  remedy(username: string): string {
    const [key] = this.list();
    return `Add this line to the file .ssh/authorized_keys of ${username} on the host: ` +
      `restrict,port-forwarding ${key!.publicKey}`;
  }

  async #read(algorithm: Algorithm): Promise<void> {
    const path = this.#path(algorithm);
    let privateKey: string;
    try {
      privateKey = await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    const parsed = utils.parseKey(privateKey);
    const key = Array.isArray(parsed) ? parsed[0] : parsed;
    if (!key || key instanceof Error) {
      throw new Error(
        `${path} is not a private key. Restore it, or remove it and let hypervisors know the new one.`,
      );
    }
    const { mtime } = await Deno.stat(path);
    this.#keys.set(algorithm, {
      privateKey,
      own: describe(algorithm, key, this.comment, mtime?.getTime() ?? 0),
    });
  }

  #path(algorithm: Algorithm): string {
    return join(this.folder, `id_${algorithm}`);
  }
}

function describe(algorithm: Algorithm, key: ParsedKey, comment: string, createdAt: number): OwnKey {
  const { algorithm: type, key: base64, fingerprint } = describeKey(key.getPublicSSH());
  return { algorithm, publicKey: `${type} ${base64} ${key.comment || comment}`, fingerprint, createdAt };
}
