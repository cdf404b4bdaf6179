/** A TCP proxy on loopback that cuts its first connections, each after so many bytes to the server. */
export interface CuttingProxy extends AsyncDisposable {
  port: number;
  readonly connections: number;
  /** To the server, over all connections. */
  readonly passedBytes: number;
}

export function startCuttingProxy(serverPort: number, cutAfterBytes: number[]): CuttingProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const counted = { connections: 0, passedBytes: 0 };
  const cuts = cutAfterBytes.values();
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const client of listener) {
      counted.connections++;
      serving.push(pass(client, cuts.next().value ?? Infinity));
    }
  })();

  async function pass(client: Deno.TcpConn, mostBytes: number): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: serverPort });
    const back = server.readable.pipeTo(client.writable).catch(() => {});
    const writer = server.writable.getWriter();
    try {
      let passed = 0;
      for await (const piece of client.readable) {
        passed += piece.length;
        counted.passedBytes += piece.length;
        await writer.write(piece);
        if (passed > mostBytes) break;
      }
    } catch {
      // Either side has gone.
    }
    await writer.close().catch(() => {});
    await back;
  }

  return {
    port: listener.addr.port,
    get connections() {
      return counted.connections;
    },
    get passedBytes() {
      return counted.passedBytes;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await Promise.all(serving);
    },
  };
}
