/** One SSH connection to a host. It never reconnects by itself: whoever needs it makes a new one. */
import type { Buffer } from "node:buffer";
import { connect as connectTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { HostKey, SshEndpoint, SshTarget } from "../../../contracts/hypervisor.ts";
import type { z } from "zod";
import { explainFailure, SshFailure, wrongHostKey } from "./failure.ts";
import { ForwardedSocket } from "./forwarded_socket.ts";
import { describeKey, hostKeyAlgorithms, withFingerprint } from "./host_key.ts";
import { type AuthMethod, Client, type SshClient, type SshError } from "./ssh2.ts";

const connectTimeoutMs = 10_000;
/** A peer that is silent is asked every 3 s; the fourth time that it owes an answer, after 12 s, it is given up. */
const keepalive = { keepaliveInterval: 3_000, keepaliveCountMax: 3 };
/**
 * AES-GCM first, 160 MB/s as measured under Deno. AES-CTR is faster (230) and ChaCha20 fastest (330), but with them ssh2
 * makes objects for each packet that Deno frees late (CTR's HMACs) or never (ChaCha20's ciphers, so that is left out).
 */
const ciphers = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr"];

export interface SshLinkOptions {
  target: SshTarget;
  /** The ways to sign in, tried in this order. */
  methods: AuthMethod[];
  /** What to do when the host takes none of them. */
  remedy: string;
  signal?: AbortSignal;
}

export class SshLink {
  /** Settles once the connection has ended, with the reason; never rejects. */
  readonly closed: Promise<SshFailure>;
  #failure: SshFailure | null = null;
  #open = new Set<Duplex>();
  #end: (error: SshError) => void;

  private constructor(
    /** For commands and sftp, which only enrolment uses. */
    readonly client: SshClient,
    socket: Socket,
    private readonly target: SshTarget,
    remedy: string,
  ) {
    const { promise, resolve } = Promise.withResolvers<SshFailure>();
    this.closed = promise;
    const end = this.#end = (error) => {
      if (this.#failure) return;
      this.#failure = explainFailure(target, error, remedy);
      resolve(this.#failure);
      socket.destroy();
      for (const forwarded of this.#open) forwarded.destroy(this.#failure);
    };
    client.on("error", end);
    client.on("close", () => end(new Error("the host closed it")));
  }

  /** @throws {SshFailure} with what to do; the signal's reason when it is aborted. */
  static async connect({ target, methods, remedy, signal }: SshLinkOptions): Promise<SshLink> {
    let presented: Buffer | null = null;
    const isPinned = (key: Buffer) => (presented = key).toString("base64") === target.hostKey.key;
    try {
      const { client, socket } = await openClient(target, {
        username: target.username,
        authHandler: methods,
        algorithm: target.hostKey.algorithm,
        hostVerifier: isPinned,
      }, signal);
      return new SshLink(client, socket, target, remedy);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (presented !== null && !isPinned(presented)) {
        throw wrongHostKey(
          target,
          withFingerprint(target.hostKey).fingerprint,
          describeKey(presented).fingerprint,
        );
      }
      throw explainFailure(target, error as SshError, remedy);
    }
  }

  /** Why it has ended; null while it is open. */
  get failure(): SshFailure | null {
    return this.#failure;
  }

  /** Connects to a unix socket on the host. @throws {AppError} `unavailable` */
  openSocket(path: string): Promise<Duplex> {
    return this.#forward(
      (answer) => this.client.openssh_forwardOutStreamLocal(path, answer),
      // sshd does not tell these apart for sockets.
      `no agent answers at ${path} on ${this.target.address}. Is kvm-vdi agent running there, is ` +
        `${this.target.username} in the group of its socket (kvm-vdi), and may it forward connections ` +
        "(`restrict,port-forwarding` before a restricted key, AllowStreamLocalForwarding in sshd_config)?",
    );
  }

  /** Connects to a TCP port as seen from the host. @throws {AppError} `unavailable` */
  openTcp(host: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    return this.#forward(
      (answer) => this.client.forwardOut("127.0.0.1", 0, host, port, answer),
      `nothing answers at ${host}:${port} on ${this.target.address}.`,
      signal,
    );
  }

  /** Everything that goes through it ends. */
  close(): void {
    this.#end(new Error("the dashboard closed it"));
  }

  #forward(
    open: (answer: (error: SshError | undefined, channel: Duplex) => void) => void,
    nobody: string,
    signal?: AbortSignal,
  ): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort);
      const answer = (error: SshError | undefined, channel: Duplex) => {
        signal?.removeEventListener("abort", abort);
        if (error) return reject(this.#failure ?? this.#explainRefusal(error, nobody));
        const socket = new ForwardedSocket(channel);
        this.#open.add(socket);
        socket.once("close", () => this.#open.delete(socket));
        // Nobody wants it any more.
        if (signal?.aborted) socket.destroy();
        resolve(socket);
      };
      try {
        open(answer);
      } catch (error) {
        reject(this.#failure ?? new SshFailure("the SSH connection is closed.", "address", error));
      }
    });
  }

  #explainRefusal(error: SshError & { reason?: unknown }, nobody: string): SshFailure {
    // RFC 4254, section 5.1: 1 is SSH_OPEN_ADMINISTRATIVELY_PROHIBITED.
    if (error.reason !== 1) return new SshFailure(nobody, "socketPath", error);
    const { address, username } = this.target;
    return new SshFailure(
      `sshd on ${address} does not let ${username} forward connections. It needs AllowTcpForwarding in ` +
        "sshd_config, and `restrict,port-forwarding` before a restricted key.",
      "username",
      error,
    );
  }
}

/** Asks a host for its key; nobody signs in. @throws {SshFailure} */
export async function readHostKey(
  { address, port }: z.output<typeof SshEndpoint>,
  signal?: AbortSignal,
): Promise<z.infer<typeof HostKey>> {
  let presented: Buffer | null = null;
  const look = (key: Buffer) => {
    presented = key;
    return false;
  };
  const target = { address, port, username: "kvm-vdi" };
  try {
    const handshake = { username: target.username, authHandler: [], algorithm: null, hostVerifier: look };
    (await openClient(target, handshake, signal)).socket.destroy();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (presented === null) throw explainFailure(target, error as SshError, "");
  }
  return describeKey(presented!);
}

interface Handshake {
  username: string;
  authHandler: AuthMethod[];
  algorithm: string | null;
  hostVerifier(key: Buffer): boolean;
}

/** Resolves once it is signed in. Rejects with what ssh2 or the network said. */
async function openClient(
  { address, port }: Pick<SshTarget, "address" | "port">,
  { algorithm, ...handshake }: Handshake,
  signal: AbortSignal | undefined,
): Promise<{ client: SshClient; socket: Socket }> {
  const socket = await dialTcp(address, port, signal, connectTimeoutMs);
  const client = new Client();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once("ready", resolve);
  // The first error says why; whatever follows of it must not be left unheard.
  client.on("error", reject);
  client.once("close", () => reject(new Error("the host closed it")));
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  try {
    client.connect({
      ...handshake,
      ...keepalive,
      sock: socket,
      algorithms: {
        serverHostKey: hostKeyAlgorithms(algorithm),
        cipher: ciphers,
        compress: ["none"],
      },
      readyTimeout: connectTimeoutMs,
      strictVendor: false,
    });
    await promise;
    return { client, socket };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    client.removeListener("error", reject);
    // ssh2 may tell more than once.
    client.on("error", () => {});
  }
}

/** Connects without Nagle's delay: what goes through is interactive. Rejects with the network's error. */
export function dialTcp(
  host: string,
  port: number,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const socket = connectTcp({ host, port, noDelay: true, keepAlive: true });
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const late = () => fail(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" }));
    const timer = setTimeout(late, timeoutMs);
    const abort = () => fail(signal?.reason);
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      socket.removeListener("error", fail);
    };
    socket.on("error", fail);
    signal?.addEventListener("abort", abort);
    socket.once("connect", () => {
      settle();
      // It may break before somebody listens; 'close' follows.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}
