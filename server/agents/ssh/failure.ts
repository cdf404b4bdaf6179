/** Why there is no SSH connection, in words that say what to do. */
import type { SshTarget } from "../../../contracts/hypervisor.ts";
import { AgentUnreachable } from "../unreachable.ts";
import type { SshError } from "./ssh2.ts";

/** `about`: what of the target it has to do with. */
export class SshFailure extends AgentUnreachable {
  constructor(
    message: string,
    readonly about: "address" | "username" | "hostKey" | "socketPath",
    cause?: unknown,
  ) {
    super(message, cause);
  }
}

export function wrongHostKey(
  { address, port }: Pick<SshTarget, "address" | "port">,
  expected: string,
  presented: string,
): SshFailure {
  return new SshFailure(
    `the host key of ${address} port ${port} has changed: expected ${expected}, but it presented ${presented}. ` +
      "Somebody may be pretending to be this host. Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` " +
      "on the host itself; if the host was installed anew, accept the new key in the hypervisor's settings.",
    "hostKey",
  );
}

/** @param remedy what to do when the host does not let us in */
export function explainFailure(
  { address, port, username }: Pick<SshTarget, "address" | "port" | "username">,
  error: SshError,
  remedy: string,
): SshFailure {
  const { code = "", level = "", message } = error;
  const fail = (text: string, about: SshFailure["about"] = "address") => new SshFailure(text, about, error);
  const host = `${address} port ${port}`;
  if (level === "client-authentication") {
    return fail(`${address} does not let the account ${username} in. ${remedy}`, "username");
  }
  if (message.startsWith("Keepalive")) {
    return fail(
      `${address} has stopped answering, though its connection is open: it is frozen, or the network is cut.`,
    );
  }
  if (level === "client-timeout") {
    return fail(
      `${host} takes connections, but does not answer as an SSH server does. Is the host frozen or overloaded, or ` +
        "is this not the port of its sshd?",
    );
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "ENODATA") {
    return fail(
      `the name ${address} is not known to the DNS of this dashboard. Check it, or use an IP address.`,
    );
  }
  if (code === "ECONNREFUSED") {
    return fail(`nothing listens on ${host}. Is sshd running there, and is the port right?`);
  }
  if (["EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"].includes(code)) {
    return fail(`there is no way to ${address} in the network (${code}). Is the host switched on?`);
  }
  if (code === "ETIMEDOUT") {
    return fail(`${host} does not answer. Is the host switched on, and does a firewall let SSH through?`);
  }
  if (level === "handshake") {
    return fail(`${host} and this dashboard cannot agree on how to encrypt (${message}).`);
  }
  return fail(`the SSH connection to ${host} failed (${message}).`);
}
