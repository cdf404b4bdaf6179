import { z } from "zod";

/** Every way in which an operation can fail, and its HTTP status. */
export const httpStatusOf = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  no_capacity: 409,
  cancelled: 409,
  interrupted: 409,
  too_many_attempts: 429,
  hypervisor_failed: 502,
  unavailable: 503,
  internal: 500,
} as const;

export type ErrorCode = keyof typeof httpStatusOf;
export const ErrorCode = z.enum(Object.keys(httpStatusOf) as [ErrorCode, ...ErrorCode[]]);

/** A field of a request that is wrong: `path` is dotted, `message` says what is expected. */
export const FieldError = z.object({ path: z.string(), message: z.string() });
export type FieldError = z.infer<typeof FieldError>;

/** What can be told about an error to whoever asked; also how a job's error is kept. */
export const ErrorInfo = z.object({
  code: ErrorCode,
  message: z.string(),
  details: z.array(FieldError).optional(),
});
export type ErrorInfo = z.infer<typeof ErrorInfo>;

/** The one JSON shape of a failed request. */
export const ErrorBody = z.object({ error: ErrorInfo.extend({ requestId: z.string().optional() }) });
export type ErrorBody = z.infer<typeof ErrorBody>;

/** An expected failure. The message says what was attempted, on what, and what to do; the cause is for the log. */
export class AppError extends Error {
  override readonly name = "AppError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: FieldError[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.details = options.details;
  }
  readonly details: FieldError[] | undefined;

  get info(): ErrorInfo {
    return { code: this.code, message: this.message, ...(this.details && { details: this.details }) };
  }
}

/** The public face of any error: an unknown one becomes `internal` without its text. */
export function errorInfoOf(error: unknown): ErrorInfo {
  if (error instanceof AppError) return error.info;
  if (error instanceof DOMException && error.name === "AbortError") {
    return { code: "cancelled", message: "The operation was cancelled." };
  }
  return { code: "internal", message: "Something went wrong inside KVM-VDI. The log has the details." };
}

/** Turns a zod failure into an `invalid` error that names each field. */
export function invalidInput(what: string, error: z.ZodError): AppError {
  const details = error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message }));
  const first = details[0];
  const field = first && first.path ? `${first.path}: ${first.message}` : first?.message ?? "invalid value";
  return new AppError("invalid", `${what}: ${field}`, { details });
}
