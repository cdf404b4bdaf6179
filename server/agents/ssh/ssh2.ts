/**
 * What is used of npm ssh2, typed. (`@types/ssh2` declares Node's globals, which contradict Deno's.)
 * API: https://github.com/mscdex/ssh2/blob/v1.17.0/README.md
 */
import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import type { Duplex, Readable, Writable } from "node:stream";
import ssh2 from "ssh2";

/** One of the ways to prove who we are, in the order given. */
export type AuthMethod =
  | { type: "publickey"; username: string; key: string; passphrase?: string }
  | { type: "password"; username: string; password: string }
  | {
    type: "keyboard-interactive";
    username: string;
    prompt(
      name: string,
      instructions: string,
      language: string,
      prompts: { prompt: string }[],
      finish: (answers: string[]) => void,
    ): void;
  };

export interface ConnectConfig {
  sock: Duplex;
  username: string;
  authHandler: AuthMethod[];
  hostVerifier(key: Buffer): boolean;
  algorithms: { serverHostKey: string[]; cipher: string[]; compress: string[] };
  readyTimeout: number;
  keepaliveInterval: number;
  keepaliveCountMax: number;
  strictVendor: boolean;
}

/** `level` tells where it failed: client-authentication, client-socket, client-timeout, handshake, protocol, ... */
export interface SshError extends Error {
  level?: string;
  code?: string;
}
type Answer<T> = (error: SshError | undefined, value: T) => void;

/** A command's streams; 'close' comes with the exit code, or null and the signal's name. */
export interface ExecChannel extends Duplex {
  stderr: Readable;
  close(): void;
}

export interface SftpSession {
  createWriteStream(
    path: string,
    options?: { mode?: number; flags?: "w" | "wx"; highWaterMark?: number },
  ): Writable;
  createReadStream(path: string): Readable;
  /** Many pieces at a time; `step` is told how many bytes have arrived. */
  fastPut(
    localPath: string,
    path: string,
    options: { mode?: number; step?: (bytes: number) => void },
    done: (error?: SshError) => void,
  ): void;
  unlink(path: string, done: (error?: SshError) => void): void;
  end(): void;
}

export interface SshClient extends EventEmitter {
  connect(config: ConnectConfig): void;
  exec(command: string, options: { pty?: boolean }, answer: Answer<ExecChannel>): void;
  sftp(answer: Answer<SftpSession>): void;
  forwardOut(fromHost: string, fromPort: number, host: string, port: number, answer: Answer<Duplex>): void;
  openssh_forwardOutStreamLocal(path: string, answer: Answer<Duplex>): void;
  end(): void;
  destroy(): void;
}

export interface ParsedKey {
  type: string;
  comment: string;
  getPublicSSH(): Buffer;
  getPrivatePEM(): string | null;
  isPrivateKey(): boolean;
}

interface Ssh2 {
  Client: new () => SshClient;
  utils: {
    /** An Error instead of a key where it cannot be read. */
    parseKey(text: string, passphrase?: string): ParsedKey | ParsedKey[] | Error;
  };
}

export const { Client, utils } = ssh2 as unknown as Ssh2;
