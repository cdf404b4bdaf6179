import { Button, Label } from "@patternfly/react-core";
import type { IAction } from "@patternfly/react-table";
import CheckIcon from "@patternfly/react-icons/dist/esm/icons/check-icon";
import CopyIcon from "@patternfly/react-icons/dist/esm/icons/copy-icon";
import ThumbtackIcon from "@patternfly/react-icons/dist/esm/icons/thumbtack-icon";
import { useState } from "preact/hooks";
import type { Image, ImageVersion } from "../../../contracts/image.ts";
import type { Job } from "../../../contracts/job.ts";
import { ActionButton } from "../../components/action_button.tsx";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { CancelJobButton, JobProgress } from "../../components/job_progress.tsx";
import { copyText } from "../../components/problem.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes, plural } from "../../format.ts";
import { openJobs } from "../../stores/live.ts";
import { deleteVersion, pinVersion, publishAgain, reopenVersion, sealVersion } from "./image_actions.ts";
import { allocatedOf, isRollBack, mainActionOf, standingOf, whyKept } from "./image_words.ts";
import { openPublish } from "./publish_dialog.tsx";
import { openDistribute, openNote } from "./version_dialogs.tsx";
import { CopyLabel, VersionLabel } from "./version_labels.tsx";
import { VersionMachines } from "./version_machines.tsx";

/** The job that works on a version now, if its progress is known. */
const jobOf = (version: ImageVersion): Job | undefined =>
  version.jobId === null ? undefined : openJobs.value.find((job) => job.id === version.jobId);

/** Versions of an image, newest first. `most` leaves older ones out. */
export function VersionTable({ image, most }: { image: Image; most?: number }) {
  const [open, setOpen] = useState<string | null>(null);
  const items = image.versions.slice(0, most);
  return (
    <DataTable
      label={`Versions of ${image.name}`}
      loaded={{ value: { items }, error: null, loading: false, reload: () => {} }}
      columns={columns(image, open, setOpen)}
      actions={(version) => versionMenu(image, version)}
      nameOf={(version) => `version ${version.number} of ${image.name}`}
      detail={(version) => <VersionDetail image={image} version={version} open={open === version.id} />}
      empty={{ title: "No version yet", text: "Copy the source's disk: that makes version 1." }}
    />
  );
}

function columns(
  image: Image,
  open: string | null,
  setOpen: (id: string | null) => void,
): Column<ImageVersion>[] {
  return [
    {
      title: "Version",
      render: (version) => (
        <div className="kv-line">
          <span className="kv-labels">
            <strong>Version {version.number}</strong>
            <VersionLabel standing={standingOf(image, version)} />
            {version.pinned && (
              <Label isCompact icon={<ThumbtackIcon />} title="Kept whatever the policy says">Pinned</Label>
            )}
          </span>
          {version.note && <span className="kv-quiet">{version.note}</span>}
        </div>
      ),
    },
    { title: "History", render: (version) => <History version={version} /> },
    {
      title: "Size",
      minor: true,
      render: (version) => (
        <div className="kv-line">
          <span>{formatBytes(allocatedOf(version))} of {formatBytes(version.virtualBytes)}</span>
          {version.sha256 && <Checksum sha256={version.sha256} number={version.number} />}
        </div>
      ),
    },
    {
      title: "On hypervisors",
      render: (version) => (
        <span className="kv-labels">
          {version.copies.map((copy) => <CopyLabel key={copy.hypervisorId} copy={copy} />)}
        </span>
      ),
    },
    {
      title: "Desktops",
      nowrap: true,
      render: (version) =>
        version.machineCount === 0 ? <span className="kv-quiet">none</span> : (
          <Button
            variant="link"
            isInline
            aria-expanded={open === version.id}
            aria-label={`${plural(version.machineCount, "desktop")} on version ${version.number}`}
            onClick={() => setOpen(open === version.id ? null : version.id)}
          >
            {version.machineCount.toLocaleString("en")}
          </Button>
        ),
    },
    { title: "What to do", render: (version) => <MainAction image={image} version={version} /> },
  ];
}

function History({ version }: { version: ImageVersion }) {
  return (
    <div className="kv-line kv-small">
      <span>
        made <Time at={version.createdAt} /> by {version.createdBy ?? "the dashboard"}
      </span>
      {version.sealedAt && (
        <span className="kv-quiet">
          sealed <Time at={version.sealedAt} />
        </span>
      )}
      {version.publishedAt && (
        <span className="kv-quiet">
          published <Time at={version.publishedAt} />
        </span>
      )}
      {version.state === "draft" && version.booted && (
        <span className="kv-quiet">customised on the initial</span>
      )}
    </div>
  );
}

function Checksum({ sha256, number }: { sha256: string; number: number }) {
  const [copied, setCopied] = useState(false);
  return (
    <span className="kv-checksum">
      <code title={`SHA-256 ${sha256}`}>{sha256.slice(0, 10)}…</code>
      <Button
        variant="plain"
        size="sm"
        hasNoPadding
        icon={copied ? <CheckIcon /> : <CopyIcon />}
        aria-label={copied ? "Copied" : `Copy the checksum of version ${number}`}
        onClick={async () => setCopied(await copyText(sha256))}
      />
    </span>
  );
}

function MainAction({ image, version }: { image: Image; version: ImageVersion }) {
  switch (mainActionOf(image, version)) {
    case "seal":
      return (
        <ActionButton
          variant="secondary"
          size="sm"
          label={`Seal version ${version.number}`}
          onAction={() => sealVersion(image, version)}
        >
          Seal
        </ActionButton>
      );
    case "publish":
      return (
        <Button
          size="sm"
          aria-label={`Publish version ${version.number}`}
          onClick={() => openPublish(image, version)}
        >
          Publish
        </Button>
      );
    case "roll-back":
      return (
        <Button
          variant="secondary"
          size="sm"
          aria-label={`Roll back to version ${version.number}`}
          onClick={() => openPublish(image, version)}
        >
          Roll back
        </Button>
      );
    case "publish-again":
      return (
        <ActionButton
          variant="secondary"
          size="sm"
          label={`Move the rest to version ${version.number}`}
          onAction={() => publishAgain(image, version)}
        >
          Move the rest
        </ActionButton>
      );
    case null:
      return null;
  }
}

/** Everything else that can be done to a version. */
export function versionMenu(image: Image, version: ImageVersion): IAction[] {
  const kept = whyKept(image, version);
  const busy = version.jobId !== null;
  const whole = version.state === "draft" || version.state === "sealed";
  const reopenable = version.state === "sealed" && !version.current && version.publishedAt === null &&
    version.machineCount === 0;
  return [
    ...(version.state === "draft" || version.state === "sealed" && !version.current
      ? [{
        title: isRollBack(image, version) ? "Roll back to it" : "Publish",
        isDisabled: busy,
        onClick: () => openPublish(image, version),
      }]
      : []),
    ...(reopenable
      ? [{
        title: "Open again for customising",
        isDisabled: busy,
        onClick: () => void reopenVersion(image, version),
      }]
      : []),
    ...(version.state === "sealed"
      ? [{ title: "Copy to hypervisors", isDisabled: busy, onClick: () => openDistribute(image, version) }]
      : []),
    ...(whole
      ? [{
        title: version.pinned ? "Unpin" : "Pin: keep whatever the policy says",
        onClick: () => void pinVersion(image, version, !version.pinned),
      }]
      : []),
    { title: "Note", onClick: () => openNote(image, version) },
    { isSeparator: true },
    {
      title: "Delete",
      isDanger: kept === null,
      isAriaDisabled: kept !== null,
      ...(kept ? { description: kept } : {}),
      onClick: () => kept === null && void deleteVersion(image, version),
    },
  ];
}

function VersionDetail({ image, version, open }: { image: Image; version: ImageVersion; open: boolean }) {
  const job = jobOf(version);
  const problems = version.copies.filter((copy) => copy.error !== null);
  if (!job && !open && problems.length === 0) return null;
  return (
    <div className="kv-stack">
      {job && (
        <div className="kv-job-line">
          <JobProgress job={job} />
          <CancelJobButton job={job} />
        </div>
      )}
      {problems.map((copy) => (
        <span key={copy.hypervisorId} className="kv-problem">{copy.hypervisorName}: {copy.error}</span>
      ))}
      {open && <VersionMachines image={image} version={version} />}
    </div>
  );
}
