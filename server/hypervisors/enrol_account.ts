/** The account by which an agent is installed: how it signs in, and how it becomes root. */
import { AppError } from "../../contracts/errors.ts";
import type { EnrolCredentials } from "../../contracts/hypervisor.ts";
import { type AuthMethod, utils } from "../agents/ssh/ssh2.ts";
import { quote, type RemoteOptions, type RemoteResult, type RemoteShell } from "./remote_shell.ts";

/** @throws {AppError} `invalid` naming the field when the key cannot be read. */
export function signInMethods(credentials: EnrolCredentials): AuthMethod[] {
  const { username, password, privateKey, passphrase } = credentials;
  const methods: AuthMethod[] = [];
  if (privateKey) {
    requireReadable(privateKey, passphrase);
    methods.push({ type: "publickey", username, key: privateKey, ...(passphrase && { passphrase }) });
  }
  if (password) {
    methods.push({ type: "password", username, password });
    methods.push({
      type: "keyboard-interactive",
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
    });
  }
  return methods;
}

function requireReadable(privateKey: string, passphrase: string | undefined): void {
  const key = utils.parseKey(privateKey, passphrase || undefined);
  const [first] = Array.isArray(key) ? key : [key];
  if (first && !(first instanceof Error) && first.isPrivateKey()) return;
  const needsPassphrase = first instanceof Error &&
    /passphrase|encrypted|decrypt|integrity/i.test(first.message);
  const [path, message] = needsPassphrase
    ? ["passphrase", passphrase ? "is wrong for this private key" : "is needed for this private key"]
    : ["privateKey", "is not a private key in OpenSSH's or PEM format"];
  throw new AppError("invalid", `${path} ${message}`, { details: [{ path: path!, message: message! }] });
}

/** Runs commands as root. */
export class RootShell {
  private constructor(private readonly shell: RemoteShell, private readonly password: string | null) {}

  /**
   * @param isRoot the account is root itself
   * @throws {AppError} `conflict` that says what is in the way
   */
  static async open(
    shell: RemoteShell,
    { username, password, sudoPassword }: EnrolCredentials,
    isRoot: boolean,
    host: string,
  ): Promise<RootShell> {
    if (isRoot) return new RootShell(shell, null);
    if ((await shell.run("LC_ALL=C sudo -n true")).code === 0) return new RootShell(shell, "");
    const secret = sudoPassword || password || "";
    const root = new RootShell(shell, secret);
    const { code, stderr } = await root.run("true");
    if (code === 0) return root;
    throw new AppError("conflict", explainSudo(username, host, stderr, secret !== ""));
  }

  /** The password goes through sudo's standard input; nothing else reads that. */
  run(script: string, options: Pick<RemoteOptions, "onLine"> = {}): Promise<RemoteResult> {
    if (this.password === null) return this.shell.run(script, options);
    const command = `LC_ALL=C sudo -S -p '' -- sh -c ${quote(script)}`;
    return this.shell.run(command, { ...options, stdin: `${this.password}\n` });
  }
}

function explainSudo(username: string, host: string, stderr: string, hasPassword: boolean): string {
  if (/not in the sudoers|not allowed to|may not run sudo/i.test(stderr)) {
    return `the account ${username} may not use sudo on ${host}. Allow it there (on Debian: adduser ${username} sudo), or ` +
      "use an account that may, or root";
  }
  if (/sudo: (command )?not found|sudo: No such file/i.test(stderr)) {
    return `there is no sudo on ${host}, and ${username} is not root. Install sudo there, or use root`;
  }
  if (/must have a tty/i.test(stderr)) {
    return `sudo on ${host} wants a terminal (requiretty). Allow ${username} to use it without, or use root`;
  }
  return hasPassword
    ? `sudo on ${host} does not accept the password of ${username}. Give the right one for sudo`
    : `sudo on ${host} asks ${username} for a password. Give it, besides the private key`;
}
