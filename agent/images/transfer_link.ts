/**
 * The connection on which one agent sends a file to another: TLS with a certificate of this transfer's own. The sender
 * says the token and a line feed, the receiver `{"receivedBytes":N}`, the sender the file's frames from there on, the
 * receiver `{"done":true}`; instead of its lines the receiver may say `{"error":{code,message}}`. Lines are JSON.
 */
import { Buffer } from "node:buffer";
import { setTimeout as delay } from "node:timers/promises";
import { timingSafeEqual, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { Receiving } from "../../contracts/agent.ts";
import { AppError, ErrorInfo, errorInfoOf } from "../../contracts/errors.ts";
import { anywhere } from "../config.ts";
import type { Logger } from "../../lib/log.ts";
import { ByteReader } from "./byte_reader.ts";
import type { Receiver } from "./receiver.ts";

const tokenBytes = 32;
const helloTimeoutMs = 10_000;
const lingerMs = 2_000;
const longestLine = 4096;

type Direct = NonNullable<Receiving["direct"]>;

export interface Listening extends Disposable {
  direct: Direct;
  /** Resolves once whoever brings bytes has had an answer, or does not take it. */
  settled(): Promise<void>;
}

/** Listens for the sender, at a free port, until disposed. One connection brings bytes at a time, the newest. */
export async function listenForSender(
  receiver: Receiver,
  log: Logger,
  hostname: string,
): Promise<Listening> {
  // The name is as secret as the certificate: no authority has put it on another one.
  const name = `${randomHex(16)}.kvm-vdi.internal`;
  const { makeOneTimeCertificate } = await import("./one_time_certificate.ts");
  const { certificate, key } = await makeOneTimeCertificate(name);
  const listener = listen({ hostname, port: 0, cert: certificate, key });
  const token = randomHex(tokenBytes);
  const open = new Map<Deno.TlsConn, Promise<void>>();
  let bringing: Deno.TlsConn | undefined;
  const closeAll = (except?: Deno.TlsConn) => {
    for (const connection of open.keys()) if (connection !== except) close(connection);
  };
  const accepting = acceptAll(listener, (connection) => {
    const onToken = () => closeAll(bringing = connection);
    const served = receive(connection, receiver, token, onToken)
      .catch((error) => log.info({ err: error }, "a connection that brings an image has ended"))
      .finally(() => {
        open.delete(connection);
        close(connection);
      });
    open.set(connection, served);
  });
  accepting.catch((error) =>
    log.error({ err: error }, "no more connections that bring an image are accepted")
  );
  return {
    direct: { port: listener.addr.port, certificate, token },
    async settled() {
      const answered = new AbortController();
      const enough = delay(lingerMs, undefined, { signal: answered.signal }).catch(() => {});
      await Promise.race([bringing && open.get(bringing), enough]);
      answered.abort();
    },
    [Symbol.dispose]() {
      listener.close();
      closeAll();
    },
  };
}

function listen(options: Deno.ListenTlsOptions & Deno.TlsCertifiedKeyPem): Deno.TlsListener {
  try {
    return Deno.listenTls(options);
  } catch (error) {
    if (options.hostname !== anywhere) throw error;
    // A host without IPv6.
    return Deno.listenTls({ ...options, hostname: "0.0.0.0" });
  }
}

async function acceptAll(
  listener: Deno.TlsListener,
  serve: (connection: Deno.TlsConn) => void,
): Promise<void> {
  for await (const connection of listener) serve(connection);
}

async function receive(
  connection: Deno.TlsConn,
  receiver: Receiver,
  token: string,
  onToken: () => void,
): Promise<void> {
  const reader = new ByteReader(readAll(connection));
  const tooLate = setTimeout(() => close(connection), helloTimeoutMs);
  const said = await reader.readLine(tokenBytes * 2).finally(() => clearTimeout(tooLate));
  if (said === null || !isSame(said, token)) {
    const error = new AppError("forbidden", "Send the image: the receiver does not know the token.");
    await say(connection, { error: error.info });
    throw error;
  }
  onToken();
  const from = await receiver.halt();
  await say(connection, { receivedBytes: from });
  try {
    await receiver.take(from, reader.rest());
    await say(connection, { done: true });
  } catch (error) {
    await say(connection, { error: errorInfoOf(error) });
    // What is still under way would reset the connection, and the answer would be lost.
    const enough = setTimeout(() => close(connection), lingerMs);
    for await (const _ of reader.rest()) { /* dropped */ }
    clearTimeout(enough);
    throw error;
  }
}

const isSame = (said: string, token: string): boolean =>
  said.length === token.length && timingSafeEqual(Buffer.from(said), Buffer.from(token));

export interface Destination {
  hosts: readonly string[];
  port: number;
  certificate: string;
  token: string;
}

const connectTimeoutMs = 4_000;

/**
 * Connects to whichever address of the receiver answers first with its certificate.
 * @throws {AppError} `unavailable` within five seconds when none does.
 */
export async function connectToReceiver(
  { hosts, port, certificate }: Destination,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const settled = new AbortController();
  const tooLate = setTimeout(() => settled.abort(new Error("it does not answer")), connectTimeoutMs);
  const giveUp = AbortSignal.any([signal, settled.signal]);
  const attempts = hosts.map((hostname) => connect(hostname, port, certificate, giveUp));
  try {
    const first = await Promise.any(attempts);
    for (const attempt of attempts) {
      void attempt.then((connection) => connection === first || close(connection), () => {});
    }
    return first;
  } catch (error) {
    signal.throwIfAborted();
    const reasons = (error as AggregateError).errors.map((reason, index) => `${hosts[index]}: ${reason}`);
    throw new AppError(
      "unavailable",
      `Send the image: the other hypervisor cannot be reached directly on port ${port} (${
        hosts.join(", ")
      }).`,
      { cause: new Error(reasons.join("; ")) },
    );
  } finally {
    clearTimeout(tooLate);
    settled.abort();
  }
}

async function connect(
  hostname: string,
  port: number,
  certificate: string,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const name = new X509Certificate(certificate).subject.replace(/^CN=/, "");
  let connection: Deno.Conn = await Deno.connect({ hostname, port, signal });
  const abort = () => close(connection);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const tls = await Deno.startTls(connection as Deno.TcpConn, { hostname: name, caCerts: [certificate] });
    connection = tls;
    await tls.handshake();
    return tls;
  } catch (error) {
    close(connection);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

const Answer = z.union([
  z.object({ receivedBytes: z.int().nonnegative() }),
  z.object({ done: z.literal(true) }),
  z.object({ error: ErrorInfo }),
]);

/** Says the token and learns where to go on. @throws {AppError} what the receiver says instead. */
export async function introduce(
  connection: Deno.TlsConn,
  token: string,
): Promise<{ from: number; reader: ByteReader }> {
  const reader = new ByteReader(readAll(connection));
  await writeAll(connection, new TextEncoder().encode(`${token}\n`));
  const answer = await readAnswer(reader);
  if (!("receivedBytes" in answer)) {
    throw new AppError("unavailable", "The receiver did not say where to go on.");
  }
  return { from: answer.receivedBytes, reader };
}

/** The receiver's last word. @throws {AppError} when it is an error, or there is none. */
export async function readConfirmation(reader: ByteReader): Promise<void> {
  const answer = await readAnswer(reader);
  if (!("done" in answer)) throw new AppError("unavailable", "The receiver did not confirm the image.");
}

/** A refusal of the receiver's, which no other attempt would change. */
export class RefusedByReceiver extends Error {
  constructor(readonly info: ErrorInfo) {
    super(info.message);
  }
}

async function readAnswer(reader: ByteReader): Promise<z.infer<typeof Answer>> {
  const line = await reader.readLine(longestLine);
  if (line === null) throw new AppError("unavailable", "The connection to the receiver has ended.");
  const answer = Answer.parse(JSON.parse(line));
  if ("error" in answer) throw new RefusedByReceiver(answer.error);
  return answer;
}

const say = (connection: Deno.TlsConn, answer: z.infer<typeof Answer>): Promise<void> =>
  writeAll(connection, new TextEncoder().encode(`${JSON.stringify(answer)}\n`));

export async function writeAll(connection: Deno.TlsConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

/** Each piece lasts until the next one is asked for: TLS gives 16 KiB at a time, too little for memory of its own. */
async function* readAll(connection: Deno.TlsConn): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(256 * 1024);
  for (;;) {
    const length = await connection.read(piece);
    if (length === null) return;
    yield piece.subarray(0, length);
  }
}

/** Also of a connection that is closed already. */
export function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

const randomHex = (bytes: number): string => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
