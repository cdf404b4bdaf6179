import { AgentClient } from "./agent_client.ts";
import { unixTransport } from "./transport.ts";

/** An agent over its unix socket, on this host. */
export class SocketAgent extends AgentClient {
  constructor(socketPath: string) {
    super(unixTransport(socketPath));
  }
}
