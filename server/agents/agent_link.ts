/** The way to one agent and to the displays of its guests, for as long as it is open. */
import type { Duplex } from "node:stream";
import type { Agent } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { SshTarget } from "../../contracts/hypervisor.ts";
import { AgentClient } from "./agent_client.ts";
import { SocketAgent } from "./socket_agent.ts";
import type { OwnKeys } from "./ssh/own_keys.ts";
import { dialTcp, SshLink } from "./ssh/ssh_link.ts";
import { sshTransport } from "./transport.ts";

/** Where an agent is reached. */
export interface AgentAddress {
  id: string;
  name: string;
  /** On its own host. */
  socketPath: string;
  /** null: its host is this one. */
  ssh: SshTarget | null;
}

export interface AgentLink {
  readonly agent: Agent;
  /** Settles with the reason once the way is gone, and with it everything that went along; null: there is none to lose. */
  readonly closed: Promise<AppError> | null;
  /** Connects to a port as seen from the agent's host. */
  dial(host: string, port: number, signal: AbortSignal): Promise<Duplex>;
  close(): void;
}

/** Makes a link. @throws {AppError} `unavailable` with the reason; the signal's reason when it is aborted. */
export type ConnectAgent = (address: AgentAddress, signal: AbortSignal) => Promise<AgentLink>;

const dialTimeoutMs = 5_000;

/** An agent on this host. */
export const directLink = (agent: Agent, close = () => {}): AgentLink => ({
  agent,
  closed: null,
  dial: (host, port, signal) => dialTcp(host, port, signal, dialTimeoutMs),
  close,
});

/** By the socket on this host, or by one SSH connection as the account that `ownKeys` open. */
export const connectAgent = (ownKeys: OwnKeys): ConnectAgent => async ({ socketPath, ssh }, signal) => {
  if (ssh === null) {
    const agent = new SocketAgent(socketPath);
    return directLink(agent, () => agent.close());
  }
  const link = await SshLink.connect({
    target: ssh,
    methods: ownKeys.methods(ssh.username),
    remedy: ownKeys.remedy(ssh.username),
    signal,
  });
  return {
    agent: new AgentClient(sshTransport(link, socketPath)),
    closed: link.closed,
    dial: (host, port, signal) => link.openTcp(host, port, signal),
    close: () => link.close(),
  };
};
