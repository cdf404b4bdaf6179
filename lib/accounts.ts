import { ProcessError, run } from "./process.ts";

/** The fields of a user (passwd(5)) or group (group(5)) of this system; null when there is none of that name. */
export async function lookUpAccount(
  database: "passwd" | "group" | "shadow",
  name: string,
): Promise<string[] | null> {
  try {
    return (await run(["getent", database, name])).stdout.trim().split(":");
  } catch (error) {
    // getent(1): 2 means that there is no such entry.
    if (error instanceof ProcessError && error.code === 2) return null;
    throw error;
  }
}
