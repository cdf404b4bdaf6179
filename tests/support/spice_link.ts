import { Buffer } from "node:buffer";
import { constants, createPublicKey, publicEncrypt } from "node:crypto";
import net from "node:net";

/** A SPICE channel's type, as in the protocol's enums. */
export const spiceChannel = { main: 1, display: 2, inputs: 3 } as const;

export interface SpiceAddress {
  host: string;
  port: number;
  password: string;
}

export class SpiceLinkRefused extends Error {
  override readonly name = "SpiceLinkRefused";
}

const mainInit = 103;

/** SPICE_MSGC_DISPLAY_INIT without caches; a server that does not get it blocks its whole QEMU for 30 s. */
const displayInit = Buffer.from([101, 0, 14, 0, 0, 0, ...new Array(14).fill(0)]);

/**
 * The smallest SPICE viewer: links channels with a password (https://www.spice-space.org/spice-protocol.html) and
 * reads nothing further. Connected until disposed.
 */
export class SpiceViewer implements Disposable {
  readonly #sockets: net.Socket[] = [];
  /** Resolves when the server has closed the main channel. */
  closed: Promise<void> = Promise.resolve();

  /** @throws {SpiceLinkRefused} when the server does not accept the password. */
  static async connect(address: SpiceAddress): Promise<SpiceViewer> {
    const viewer = new SpiceViewer();
    const main = await viewer.#link(address, spiceChannel.main, 0);
    const sessionId = (await main.reader.message(mainInit)).readUInt32LE(0);
    viewer.closed = new Promise((resolve) => main.socket.once("close", () => resolve()));
    main.reader.drop();
    const display = await viewer.#link(address, spiceChannel.display, sessionId);
    display.socket.write(displayInit);
    display.reader.drop();
    (await viewer.#link(address, spiceChannel.inputs, sessionId)).reader.drop();
    return viewer;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #link({ host, port, password }: SpiceAddress, channel: number, connectionId: number) {
    const socket = net.connect({ host, port });
    this.#sockets.push(socket);
    socket.on("error", () => socket.destroy());
    const reader = new Reader(socket);
    socket.write(linkMessage(channel, connectionId));
    const reply = await reader.take((await reader.take(16)).readUInt32LE(12));
    const key = createPublicKey({ key: reply.subarray(4, 166), format: "der", type: "spki" });
    const oaep = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };
    socket.write(Buffer.concat([uint32(1), publicEncrypt(oaep, Buffer.from(`${password}\0`))]));
    const result = (await reader.take(4)).readUInt32LE(0);
    if (result !== 0) {
      throw new SpiceLinkRefused(`The SPICE server refused channel ${channel}: error ${result}.`);
    }
    return { socket, reader };
  }
}

const uint32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
};

/** Capabilities: choice of authentication, SPICE authentication, short message headers. */
const capabilities = uint32(0b1011);

export function linkMessage(channel: number, connectionId: number): Buffer {
  const body = Buffer.concat([
    uint32(connectionId),
    Buffer.from([channel, 0]),
    uint32(1, 0, 18),
    capabilities,
  ]);
  return Buffer.concat([Buffer.from("REDQ"), uint32(2, 2, body.length), body]);
}

/** Reads a socket piece by piece. */
class Reader {
  #buffered = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;
  #dropping = false;

  constructor(socket: net.Socket) {
    socket.on("data", (chunk: Buffer) => {
      this.#buffered = this.#dropping ? Buffer.alloc(0) : Buffer.concat([this.#buffered, chunk]);
      this.#wake?.();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** Nothing more will be taken. */
  drop(): void {
    this.#dropping = true;
  }

  async take(count: number): Promise<Buffer> {
    while (this.#buffered.length < count) {
      if (this.#ended) throw new SpiceLinkRefused("The SPICE server closed the connection.");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const taken = this.#buffered.subarray(0, count);
    this.#buffered = this.#buffered.subarray(count);
    return taken;
  }

  /** The body of the next message of a type; others before it are skipped. */
  async message(type: number): Promise<Buffer> {
    for (;;) {
      const head = await this.take(6);
      const body = await this.take(head.readUInt32LE(2));
      if (head.readUInt16LE(0) === type) return body;
    }
  }
}
