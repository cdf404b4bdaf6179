import type { z } from "zod";
import { Id } from "../contracts/common.ts";
import { AppError, invalidInput } from "../contracts/errors.ts";

/** @throws {AppError} `invalid` for what is no id. */
export function requireId(text: string): string {
  const parsed = Id.safeParse(text);
  if (!parsed.success) throw new AppError("invalid", `Not an id: '${text.slice(0, 64)}'.`);
  return parsed.data;
}

/** Reads a request's body by its schema. @throws {AppError} `invalid` naming the field. */
export async function readBody<S extends z.ZodType>(request: Request, schema: S): Promise<z.output<S>> {
  let body: unknown;
  try {
    body = await request.json();
  } catch (cause) {
    throw new AppError("invalid", "The request's body is not JSON.", { cause });
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalidInput("The request is not valid", parsed.error);
  return parsed.data;
}
