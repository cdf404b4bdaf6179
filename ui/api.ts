/** The dashboard's API, typed by the one table in contracts/api.ts. */
import {
  api,
  type BodyOf,
  type EndpointName,
  plainPaths,
  type QueryOf,
  type ResultOf,
} from "../contracts/api.ts";
import { AppError, ErrorBody, type ErrorInfo } from "../contracts/errors.ts";
import { Upload } from "../contracts/storage.ts";

/** A refused or failed request; `requestId` finds it in the dashboard's log. */
export class RequestError extends AppError {
  constructor(info: ErrorInfo, readonly requestId?: string) {
    super(info.code, info.message, info.details ? { details: info.details } : {});
  }
}

export interface CallOptions<N extends EndpointName> {
  /** Values of the path's parameters, as `id`. */
  params?: Record<string, string>;
  query?: QueryOf<N>;
  body?: BodyOf<N>;
  signal?: AbortSignal;
}

const unauthenticated = new Set<() => void>();
/** Runs `listener` whenever the dashboard no longer knows who we are. */
export const onUnauthenticated = (listener: () => void) => void unauthenticated.add(listener);

/** Path and query of a call; throws on a parameter that is missing, which is a mistake in the UI. */
export function urlOf(path: string, params: Record<string, string> = {}, query: object = {}): string {
  const filled = path.replace(/:(\w+)/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`call to ${path} without its parameter ${name}`);
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  return search.size > 0 ? `${filled}?${search}` : filled;
}

/**
 * Calls one endpoint.
 * @throws {RequestError} with the dashboard's own words; `unavailable` when it cannot be reached.
 */
export async function call<N extends EndpointName>(
  name: N,
  options: CallOptions<N> = {},
): Promise<ResultOf<N>> {
  const endpoint = api[name];
  const response = await send(
    endpoint.method,
    urlOf(endpoint.path, options.params, (options.query ?? {}) as object),
    options,
  );
  if (response.status === 204) return undefined as ResultOf<N>;
  return endpoint.result.parse(await response.json()) as ResultOf<N>;
}

/** Calls an endpoint whose answer is text, as a `.vv` file or XML. */
export async function fetchText(method: "GET" | "POST", url: string, signal?: AbortSignal): Promise<string> {
  return (await send(method, url, { signal })).text();
}

/** Sends one piece of an upload; resolves to what the dashboard has of it then. */
export async function sendPiece(
  uploadId: string,
  offset: number,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<Upload> {
  const response = await request("PATCH", plainPaths.uploadPiece(uploadId), {
    headers: { "content-type": "application/octet-stream", "upload-offset": String(offset) },
    body: bytes as BodyInit,
    signal: signal ?? null,
  });
  const answer = await response.json().catch(() => {
    throw new RequestError({
      code: "unavailable",
      message: "The connection was lost before the answer was whole.",
    });
  });
  return Upload.parse(answer.upload);
}

function send(
  method: string,
  url: string,
  options: { body?: unknown; signal?: AbortSignal },
): Promise<Response> {
  return request(method, url, {
    headers: options.body === undefined ? {} : { "content-type": "application/json" },
    body: options.body === undefined ? null : JSON.stringify(options.body),
    signal: options.signal ?? null,
  });
}

async function request(
  method: string,
  url: string,
  options: Pick<RequestInit, "headers" | "body" | "signal">,
): Promise<Response> {
  const response = await fetch(url, { method, credentials: "same-origin", ...options }).catch((cause) => {
    if (options.signal?.aborted) throw cause;
    throw new RequestError({
      code: "unavailable",
      message: "The dashboard could not be reached. Check the network, then try again.",
    });
  });
  if (response.ok) return response;
  const error = await readError(response);
  if (error.code === "unauthenticated" && !url.startsWith("/api/session")) {
    for (const listener of unauthenticated) listener();
  }
  throw error;
}

async function readError(response: Response): Promise<RequestError> {
  const body = ErrorBody.safeParse(await response.json().catch(() => null));
  if (body.success) {
    const { requestId, ...info } = body.data.error;
    return new RequestError(info, requestId);
  }
  const code = response.status === 401
    ? "unauthenticated"
    : response.status < 500
    ? "invalid"
    : "unavailable";
  return new RequestError({ code, message: `The dashboard answered ${response.status} without a reason.` });
}

/** Message of any error for people. */
export const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error);

/** What an admin can paste into a ticket. */
export function errorDetails(error: unknown): string {
  const lines = [messageOf(error)];
  if (error instanceof AppError) {
    lines.push(`code: ${error.code}`);
    for (const { path, message } of error.details ?? []) lines.push(`${path}: ${message}`);
  }
  if (error instanceof RequestError && error.requestId) lines.push(`request: ${error.requestId}`);
  lines.push(`page: ${globalThis.location?.pathname ?? ""}`, `time: ${new Date().toISOString()}`);
  return lines.join("\n");
}

/** The message for one field of a form, if the error names it. */
export function fieldErrors(error: unknown): Record<string, string> {
  if (!(error instanceof AppError)) return {};
  return Object.fromEntries((error.details ?? []).map(({ path, message }) => [path, message]));
}
