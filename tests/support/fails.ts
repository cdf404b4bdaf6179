import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";

/** Asserts an AppError by its code and by what its message must tell. */
export const fails = (code: string, ...told: (string | RegExp)[]) => (error: unknown): true => {
  assert.ok(error instanceof AppError, `not an AppError: ${error}`);
  assert.equal(error.code, code, error.message);
  for (const part of told) {
    assert.match(error.message, part instanceof RegExp ? part : new RegExp(RegExp.escape(part)));
  }
  return true;
};
