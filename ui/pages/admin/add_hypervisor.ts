/** What the page that adds a hypervisor has been told so far. */
import type { BodyOf } from "../../../contracts/api.ts";
import type { HostKey } from "../../../contracts/hypervisor.ts";
import { areComplete, type CredentialsDraft, credentialsOf, noCredentials } from "./credentials.ts";

export interface AddDraft {
  where: "here" | "ssh";
  name: string;
  address: string;
  port: string;
  socketPath: string;
  /** What the host answered; null until it was asked, or after the address was changed. */
  hostKey: HostKey | null;
  confirmed: boolean;
  how: "install" | "manual";
  /** The account that the dashboard uses from then on. */
  username: string;
  credentials: CredentialsDraft;
}
export type AddStep = "place" | "key" | "agent" | "result";

export const newDraft: AddDraft = {
  where: "ssh",
  name: "",
  address: "",
  port: "22",
  socketPath: "/run/kvm-vdi/agent.sock",
  hostKey: null,
  confirmed: false,
  how: "install",
  username: "kvm-vdi",
  credentials: noCredentials,
};

/** A changed address is another host: its key must be read and confirmed anew. */
export function changeDraft(draft: AddDraft, patch: Partial<AddDraft>): AddDraft {
  const moved = patch.address !== undefined && patch.address !== draft.address ||
    patch.port !== undefined && patch.port !== draft.port;
  return { ...draft, ...patch, ...(moved ? { hostKey: null, confirmed: false } : {}) };
}

/** The name it gets: what was typed, else the address up to the first dot; of an IP address all of it. */
export function nameOf({ name, address }: Pick<AddDraft, "name" | "address">): string {
  if (name.trim()) return name.trim();
  const host = address.trim();
  return /^[\d.]+$|:/.test(host) ? host : host.split(".")[0] ?? "";
}

export function isStepComplete(step: AddStep, draft: AddDraft): boolean {
  switch (step) {
    case "place":
      if (draft.where === "here") return draft.name.trim() !== "" && draft.socketPath.trim() !== "";
      return draft.address.trim() !== "" && Number(draft.port) > 0;
    case "key":
      return draft.hostKey !== null && draft.confirmed;
    case "agent":
      return draft.how === "install" ? areComplete(draft.credentials) : draft.username.trim() !== "";
    case "result":
      return true;
  }
}

/** The draft in the API's shape. */
export function requestOf(draft: AddDraft): BodyOf<"createHypervisor"> {
  const named = { name: nameOf(draft), socketPath: draft.socketPath.trim() };
  if (draft.where === "here" || !draft.hostKey) return named;
  const { algorithm, key } = draft.hostKey;
  const install = draft.how === "install";
  return {
    ...named,
    ssh: {
      address: draft.address.trim(),
      port: Number(draft.port),
      username: install ? newDraft.username : draft.username.trim(),
      hostKey: { algorithm, key },
    },
    ...(install ? { enrol: credentialsOf(draft.credentials) } : {}),
  };
}

/** The step that shows the field which an error names; null: it is said where the button is. */
export function stepOfError(errors: Record<string, string>, draft: Pick<AddDraft, "where">): AddStep | null {
  const shown = draft.where === "here" ? ["name", "socketPath"] : ["name", "ssh.address", "ssh.port"];
  return shown.some((path) => errors[path]) ? "place" : null;
}
