/** The dashboard's API as the client calls it: JSON over HTTPS, trusting one CA file or the system's CAs. */
import type { IncomingMessage } from "node:http";
import http from "node:http";
import https from "node:https";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { api, type BodyOf, type EndpointName, type ResultOf } from "../contracts/api.ts";
import { AppError, ErrorBody } from "../contracts/errors.ts";

const requestTimeoutMs = 15_000;

/** No answer came: the dashboard is down, restarting, or the network is. Worth another try. */
export class Unreachable extends AppError {
  constructor(url: URL, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super("unavailable", `The dashboard at ${url.origin} cannot be reached: ${why}`, { cause });
  }
}

/** The dashboard's certificate is not signed by a CA that this device trusts, or is for another name. */
export class UntrustedCertificate extends AppError {
  constructor(url: URL, hasOwnCa: boolean, cause: Error) {
    const remedy = hasOwnCa
      ? "The file given with --ca is not the CA of this dashboard, or the address is not in its certificate. " +
        "Fetch the CA again if the dashboard was set up anew:"
      : "If this is your own dashboard, fetch its CA once:";
    super(
      "unavailable",
      `The certificate of ${url.origin} is not trusted (${cause.message}). ${remedy}\n` +
        `  curl -k -o ca.pem ${url.origin}/ca.pem\n` +
        `and compare its fingerprint with that of the file certificates/ca.pem in the dashboard's data directory:\n` +
        `  openssl x509 -in ca.pem -noout -fingerprint -sha256\n` +
        `Then start the client with --ca ca.pem.`,
      { cause },
    );
  }
}

export interface CallOptions<N extends EndpointName> {
  id?: string;
  body?: BodyOf<N>;
  signal?: AbortSignal;
}

export class Dashboard {
  #token: string | null = null;
  #agent: http.Agent;

  constructor(readonly url: URL, private readonly ca: string | undefined) {
    this.#agent = this.#isSecure
      ? new https.Agent({ keepAlive: true, ca, maxSockets: 4 })
      : new http.Agent({ keepAlive: true, maxSockets: 4 });
  }

  /** Whom the calls are made for; null: nobody. */
  set token(token: string | null) {
    this.#token = token;
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * Calls an endpoint.
   * @throws {Unreachable} without an answer, {UntrustedCertificate}, {AppError} as the dashboard answered
   */
  async call<N extends EndpointName>(
    name: N,
    { id, body, signal }: CallOptions<N> = {},
  ): Promise<ResultOf<N>> {
    const endpoint = api[name];
    const path = endpoint.path.replace(":id", id ?? "");
    const { status, text } = await this.#exchange(endpoint.method, path, body, signal);
    if (status >= 400) throw toError(this.url, status, text);
    return endpoint.result.parse(text === "" ? undefined : parseJson(this.url, text)) as ResultOf<N>;
  }

  /** Opens a bare connection to the dashboard's port, TLS included. */
  connect(): Socket {
    const host = this.url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(this.url.port || (this.#isSecure ? 443 : 80));
    if (!this.#isSecure) return connectPlain({ host, port, noDelay: true });
    const socket = connectTls({ host, port, ca: this.ca, ALPNProtocols: ["http/1.1"] });
    socket.setNoDelay(true);
    return socket;
  }

  get #isSecure(): boolean {
    return this.url.protocol === "https:";
  }

  async #exchange(method: string, path: string, body: unknown, signal: AbortSignal | undefined) {
    const timeout = AbortSignal.timeout(requestTimeoutMs);
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    try {
      const response = await this.#send(method, path, body, either);
      return { status: response.statusCode ?? 500, text: await readText(response) };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (timeout.aborted) {
        throw new Unreachable(this.url, new Error(`no answer in ${requestTimeoutMs / 1000} s`));
      }
      if (error instanceof Error && isCertificateError(error)) {
        throw new UntrustedCertificate(this.url, this.ca !== undefined, error);
      }
      throw new Unreachable(this.url, error);
    }
  }

  #send(method: string, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = (this.#isSecure ? https : http).request(new URL(path, this.url), {
        method,
        agent: this.#agent,
        signal,
        headers: {
          accept: "application/json",
          ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
          ...(body !== undefined && { "content-type": "application/json" }),
        },
      });
      request.once("response", resolve);
      request.once("error", reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += chunk;
  return text;
}

function parseJson(url: URL, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("unavailable", `What answers at ${url.origin} is not a KVM-VDI dashboard.`, { cause });
  }
}

function toError(url: URL, status: number, text: string): AppError {
  const parsed = ErrorBody.safeParse(parseJson(url, text));
  if (parsed.success) return new AppError(parsed.data.error.code, parsed.data.error.message);
  return new AppError("unavailable", `The dashboard at ${url.origin} answered with status ${status}.`);
}

/** rustls says "invalid peer certificate: ..."; OpenSSL's codes are for other runtimes. */
const isCertificateError = (error: Error) =>
  /certificate|self.signed|UnknownIssuer/i.test(error.message) ||
  /CERT/.test(String((error as NodeJS.ErrnoException).code ?? ""));
