/** What is to be done next with an image: the way from a source to desktops, as a pure function. */
import type { ChecklistStep, VersionState } from "../../contracts/image.ts";

export interface ChecklistFacts {
  /** Null: the initial was adopted and has no source. */
  source: { name: string; state: string; hasDisk: boolean } | null;
  /** Whether the initial runs now, without a virtual snapshot. */
  initialRuns: boolean;
  /** The newest version; null: there is none. */
  newest: { number: number; state: VersionState; booted: boolean; current: boolean } | null;
  /** Kind of the open job that works on the image. */
  job: string | null;
  clones: {
    total: number;
    /** On the newest version. */
    onNewest: number;
    withSnapshot: number;
    inMaintenance: number;
  };
}

type Step = ChecklistStep["step"];
type Judged = Pick<ChecklistStep, "state" | "detail">;

const done = (detail: string): Judged => ({ state: "done", detail });
const later = (detail: string): Judged => ({ state: "later", detail });
const optional = (detail: string): Judged => ({ state: "optional", detail });
const running = (detail: string): Judged => ({ state: "running", detail });
const blocked = (detail: string): Judged => ({ state: "blocked", detail });

/** Every step with its state; the first that is not done and not optional is the next. */
export function checklistOf(facts: ChecklistFacts): ChecklistStep[] {
  const steps: [Step, Judged][] = [
    ["source-ready", sourceReady(facts)],
    ["copied", copied(facts)],
    ["customised", customised(facts)],
    ["sealed", sealed(facts)],
    ["published", published(facts)],
    ["populated", populated(facts)],
    ["snapshots-on", snapshotsOn(facts)],
    ["maintenance-off", maintenanceOff(facts)],
  ];
  const open = steps.findIndex(([, { state }]) => state !== "done" && state !== "optional");
  return steps.map(([step, judged], index) => {
    const state = index === open && judged.state === "later" ? "next" : judged.state;
    return { step, ...judged, state };
  });
}

const isOn = (state: string) => state !== "shut-off" && state !== "crashed";

function sourceReady({ source, newest }: ChecklistFacts): Judged {
  if (source === null) return done("There is no source: the image was imported.");
  if (!source.hasDisk) return later(`Install the operating system on ${source.name}.`);
  if (!isOn(source.state)) return done(`${source.name} is shut off.`);
  const detail = `${source.name} is ${source.state}. Shut it down before its disk is copied.`;
  return newest === null ? blocked(detail) : optional(detail);
}

function copied({ newest, job, source }: ChecklistFacts): Judged {
  if (job === "copy-disk" || newest?.state === "copying") {
    return running("The source's disk is being copied.");
  }
  if (newest === null || newest.state === "failed") {
    return later(source ? `Copy the disk of ${source.name}.` : "Give the initial a disk.");
  }
  return done(`Version ${newest.number} is a copy of its own.`);
}

const isWhole = ({ newest }: ChecklistFacts) => newest?.state === "draft" || newest?.state === "sealed";

function customised(facts: ChecklistFacts): Judged {
  const { newest, initialRuns } = facts;
  if (!isWhole(facts)) return later("Start the initial and prepare it: sysprep, host name, keys.");
  if (newest!.state === "draft" && initialRuns) {
    return running("The initial runs. Shut it down when it is ready.");
  }
  if (newest!.booted) return done("The initial was started with this version.");
  if (newest!.state === "sealed") return optional("It was sealed as it was copied.");
  return optional("Start the initial and prepare it, if it has to be: sysprep, host name, keys.");
}

function sealed(facts: ChecklistFacts): Judged {
  const { newest, job, initialRuns } = facts;
  if (job === "seal" || job === "distribute") {
    return running("It is being sealed and copied to the hypervisors.");
  }
  if (!isWhole(facts)) return later("Makes it final, with a checksum.");
  if (newest!.state === "sealed") return done(`Version ${newest!.number} is final.`);
  if (initialRuns) return blocked("Shut the initial down first.");
  return later(`Seal version ${newest!.number}; publishing does it too.`);
}

function published(facts: ChecklistFacts): Judged {
  const { newest, job } = facts;
  if (job === "publish") return running("It is being published.");
  if (isWhole(facts) && newest!.current) {
    return done(`Version ${newest!.number} is what desktops are made on.`);
  }
  return later("Publish it: desktops move to it at once, or as their users leave.");
}

function populated({ newest, clones }: ChecklistFacts): Judged {
  if (clones.total === 0) return later("Create vdi machines from it.");
  const { total, onNewest } = clones;
  if (onNewest === total) return done(`All ${total} vdi machines are on version ${newest!.number}.`);
  if (onNewest > 0) return running(`${onNewest} of ${total} vdi machines are on version ${newest!.number}.`);
  return later(`None of the ${total} vdi machines is on the newest version.`);
}

function snapshotsOn({ clones: { total, withSnapshot } }: ChecklistFacts): Judged {
  if (total > 0 && withSnapshot === total) return done("Every user finds a clean desktop.");
  if (total === 0) return optional("With virtual snapshots every user finds a clean desktop.");
  return optional(
    `${withSnapshot} of ${total} have their virtual snapshot on; the others keep what users write.`,
  );
}

function maintenanceOff({ clones: { total, inMaintenance } }: ChecklistFacts): Judged {
  if (total === 0) return later("Then users can have them.");
  if (inMaintenance === 0) return done("No vdi machine is in maintenance.");
  return later(
    `Take ${inMaintenance} of ${total} vdi machines out of maintenance, so that users can have them.`,
  );
}
