/** The form of a desktop pool: what was typed, and what of it is sent. */
import type {
  AfterUse,
  DesktopPool,
  DesktopPoolPolicy,
  PoolScheduleEntry,
} from "../../../contracts/desktop_pool.ts";
import { entryProblem } from "./schedule.ts";

const GiB = 1024 ** 3;

export interface PoolDraft {
  name: string;
  description: string;
  afterUse: AfterUse;
  returnAfterMinutes: string;
  userPower: boolean;
  spares: string;
  schedule: PoolScheduleEntry[];
  dataDisk: "none" | "machine" | "user";
  dataDiskGiB: string;
}

export function draftOf(pool: DesktopPool | undefined): PoolDraft {
  const policy = pool?.policy;
  const bytes = policy?.dataDisk?.bytes ?? 10 * GiB;
  return {
    name: pool?.name ?? "",
    description: pool?.description ?? "",
    afterUse: policy?.afterUse ?? "keep",
    returnAfterMinutes: String(policy?.returnAfterMinutes ?? 5),
    userPower: policy?.userPower ?? true,
    spares: String(policy?.spares ?? 0),
    schedule: policy?.schedule ?? [],
    dataDisk: policy?.dataDisk?.scope ?? "none",
    dataDiskGiB: String(Number((bytes / GiB).toFixed(3))),
  };
}

export function policyOf(draft: PoolDraft): DesktopPoolPolicy {
  const { afterUse, userPower, schedule, dataDisk } = draft;
  return {
    afterUse,
    userPower,
    schedule,
    returnAfterMinutes: Number(draft.returnAfterMinutes),
    spares: Number(draft.spares || 0),
    dataDisk: dataDisk === "none"
      ? null
      : { scope: dataDisk, bytes: Math.round(Number(draft.dataDiskGiB) * GiB) },
  };
}

export const canBeSaved = (draft: PoolDraft) =>
  draft.name.trim() !== "" && draft.schedule.every((entry) => entryProblem(entry) === null) &&
  (draft.dataDisk === "none" || Number(draft.dataDiskGiB) > 0);

/** Messages of a refused request by the place of the schedule's entry that they are about. */
export function scheduleErrors(errors: Record<string, string>): Record<number, string> {
  const found = Object.entries(errors).map(([path, message]) => [
    /^policy\.schedule\.(\d+)\b/.exec(path)?.[1],
    message,
  ]);
  return Object.fromEntries(found.filter(([place]) => place !== undefined));
}
