import { AppError } from "../../contracts/errors.ts";

/** The agent gave no answer at all: whether it did what was asked is not known. */
export class AgentUnreachable extends AppError {
  constructor(message: string, cause?: unknown) {
    super("unavailable", message, { cause });
  }
}
