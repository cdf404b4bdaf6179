/** The two ways to an agent's socket: on this host, and on another through SSH. */
import http from "node:http";
import type { Duplex } from "node:stream";
import type { SshLink } from "./ssh/ssh_link.ts";

export interface Transport {
  /**
   * For http.request: how it gets its connection.
   * @param reuse one that was used before and is kept for further requests; else one of its own
   */
  route(reuse: boolean): http.RequestOptions;
  /** What went wrong on the way, in words. */
  explain(error: NodeJS.ErrnoException): string;
  /** Closes idle connections. */
  close(): void;
}

const reuseOptions = { keepAlive: true, maxSockets: 32, maxFreeSockets: 4 };

/** A unix socket on this host. */
export function unixTransport(socketPath: string): Transport {
  const reused = new http.Agent(reuseOptions);
  return {
    route: (reuse) => ({ socketPath, agent: reuse ? reused : false }),
    explain: ({ code, message }) => {
      const reasons: Record<string, string> = {
        ENOENT: `there is no socket at ${socketPath}. Is kvm-vdi agent running?`,
        ECONNREFUSED: `nobody listens on ${socketPath}. Start kvm-vdi agent.`,
        EACCES: `this process may not open ${socketPath}. It must be in the socket's group, kvm-vdi.`,
      };
      return reasons[code ?? ""] ?? `the connection to its agent failed (${code ?? message}).`;
    },
    close: () => reused.destroy(),
  };
}

/** A unix socket on the host at the other end of an SSH connection. */
export function sshTransport(link: SshLink, socketPath: string): Transport {
  const reused = new ForwardingAgent(link, socketPath, reuseOptions);
  const single = new ForwardingAgent(link, socketPath, { keepAlive: false });
  return {
    route: (reuse) => ({ agent: reuse ? reused : single }),
    explain: ({ code, message }) =>
      link.failure?.message ?? `the connection to its agent failed (${code ?? message}).`,
    close: () => {
      reused.destroy();
      single.destroy();
    },
  };
}

class ForwardingAgent extends http.Agent {
  constructor(
    private readonly link: SshLink,
    private readonly socketPath: string,
    options: http.AgentOptions,
  ) {
    super(options);
  }

  /** node:http takes the connection later, by the callback; its types do not say so. */
  override createConnection(
    _options: unknown,
    done: (error: Error | null, socket: Duplex) => void = () => {},
  ): Duplex {
    this.link.openSocket(this.socketPath).then(
      (socket) => done(null, socket),
      done as (error: Error) => void,
    );
    return undefined as unknown as Duplex;
  }
}
