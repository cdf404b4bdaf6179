/** The form for an account that may install the agent. What is typed lives in the page only, and goes with it. */
import type { z } from "zod";
import type { EnrolCredentials } from "../../../contracts/hypervisor.ts";

export interface CredentialsDraft {
  username: string;
  by: "password" | "key";
  password: string;
  privateKey: string;
  passphrase: string;
  sudoPassword: string;
}

export const noCredentials: CredentialsDraft = {
  username: "root",
  by: "password",
  password: "",
  privateKey: "",
  passphrase: "",
  sudoPassword: "",
};

/** The draft in the API's shape: only what belongs to the way that was chosen, and nothing empty. */
export function credentialsOf(draft: CredentialsDraft): z.input<typeof EnrolCredentials> {
  const secrets = draft.by === "password"
    ? { password: draft.password }
    : { privateKey: withLineEnd(draft.privateKey), passphrase: draft.passphrase };
  const all = { ...secrets, sudoPassword: draft.username.trim() === "root" ? "" : draft.sudoPassword };
  const given = Object.entries(all).filter(([, value]) => value !== "");
  return { username: draft.username.trim(), ...Object.fromEntries(given) };
}

/** OpenSSH refuses a private key whose last line does not end. */
const withLineEnd = (key: string) => key.trim() === "" ? "" : `${key.trim()}\n`;

export const areComplete = (draft: CredentialsDraft) =>
  draft.username.trim() !== "" && (draft.by === "password" ? draft.password : draft.privateKey.trim()) !== "";

/** Messages by field of the form: the request has them with or without `enrol.` before. */
export const credentialErrors = (errors: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(errors).map(([path, message]) => [path.replace(/^enrol\./, ""), message]),
  );
