import { Alert, AlertActionLink, Button, Progress } from "@patternfly/react-core";
import UploadIcon from "@patternfly/react-icons/dist/esm/icons/upload-icon";
import { useRef, useState } from "preact/hooks";
import type { Upload } from "../../contracts/storage.ts";
import { call, messageOf } from "../api.ts";
import { formatBytes, formatPace, percentOf } from "../format.ts";
import { now } from "../stores/clock.ts";
import { useEvents, useLoad } from "../stores/load.ts";
import { hypervisors } from "../stores/places.ts";
import {
  cancelRemains,
  cancelUpload,
  forgetUpload,
  type LocalUpload,
  startUpload,
  uploads,
  whyNotUpload,
} from "../stores/uploads.ts";
import { ActionButton } from "./action_button.tsx";
import { freeBytesOf } from "./hypervisor_choice.tsx";
import { Time } from "./time.tsx";

interface Props {
  hypervisorId: string;
  /** Suffixes that the file dialog offers. */
  accept?: string;
  onDone?: (upload: Upload) => void;
}

const allSuffixes = ".iso,.qcow2,.raw,.img,.vmdk,.vdi,.vhdx";

/** Brings ISO and disk images to a hypervisor: a place to drop files on, and how far each upload is. */
export function UploadPanel({ hypervisorId, accept = allSuffixes, onDone }: Props) {
  const [refused, setRefused] = useState<string[]>([]);
  const hypervisor = hypervisors.value.find((one) => one.id === hypervisorId);
  const add = (files: File[]) => {
    const free = hypervisor ? freeBytesOf(hypervisor) : null;
    const problems: string[] = [];
    for (const file of files) {
      const problem = whyNotUpload(file, free);
      if (problem) problems.push(problem);
      else void startUpload(file, hypervisorId).then((upload) => upload && onDone?.(upload));
    }
    setRefused(problems);
  };
  return (
    <div className="kv-stack">
      <DropZone
        accept={accept}
        onFiles={add}
        where={hypervisor?.name ?? "the hypervisor"}
        disabled={hypervisor?.state === "offline"}
      />
      {refused.map((text) => <Alert key={text} isInline variant="danger" component="p" title={text} />)}
      {uploads.value.filter((one) => one.hypervisorId === hypervisorId).map((upload) => (
        <UploadLine key={upload.key} upload={upload} onDone={onDone} />
      ))}
      <Remains hypervisorId={hypervisorId} />
    </div>
  );
}

interface DropZoneProps {
  accept: string;
  onFiles: (files: File[]) => void;
  where: string;
  disabled: boolean;
}

function DropZone({ accept, onFiles, where, disabled }: DropZoneProps) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <div
      className={`kv-drop${over ? " kv-drop-over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(!disabled);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (!disabled) onFiles([...event.dataTransfer?.files ?? []]);
      }}
    >
      <UploadIcon aria-hidden="true" />
      <span>
        {disabled
          ? `${where} is offline: nothing can be uploaded now.`
          : `Drop ISO or disk images here for ${where}`}
      </span>
      <Button variant="secondary" isDisabled={disabled} onClick={() => input.current?.click()}>
        Choose files
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        accept={accept}
        aria-label="Files to upload"
        onChange={(event) => {
          const chosen = event.currentTarget;
          onFiles([...chosen.files ?? []]);
          chosen.value = ""; // the same file can be chosen again, to go on with it
        }}
      />
    </div>
  );
}

/** One upload of this tab: its bar, or how it ended. */
function UploadLine({ upload, onDone }: { upload: LocalUpload; onDone: Props["onDone"] }) {
  const { file, sending, state } = upload;
  if (state === "failed") {
    return (
      <Alert
        isInline
        variant="danger"
        component="p"
        title={`${file.name} was not uploaded`}
        actionLinks={
          <>
            <AlertActionLink
              onClick={() =>
                void startUpload(file, upload.hypervisorId).then((done) => done && onDone?.(done))}
            >
              Try again
            </AlertActionLink>
            <AlertActionLink onClick={() => void cancelUpload(upload)}>Give up</AlertActionLink>
          </>
        }
      >
        {messageOf(upload.error)}
        {sending.sentBytes > 0 && sending.sentBytes < file.size &&
          ` ${formatBytes(sending.sentBytes)} of ${
            formatBytes(file.size)
          } have arrived; it goes on from there.`}
      </Alert>
    );
  }
  if (state === "done") {
    return (
      <Alert
        isInline
        variant="success"
        component="p"
        title={`${file.name} uploaded`}
        actionLinks={<AlertActionLink onClick={() => forgetUpload(upload.key)}>Close</AlertActionLink>}
      >
        {upload.result?.format}, checksum verified
      </Alert>
    );
  }
  const percent = percentOf(sending.sentBytes, file.size);
  return (
    <div className="kv-job-line">
      <Progress
        id={`upload-${upload.key}`}
        size="sm"
        title={file.name}
        value={percent}
        label={`${percent} %`}
        helperText={stageText(upload)}
        className="kv-job-progress"
      />
      <ActionButton
        variant="secondary"
        size="sm"
        label={`Cancel the upload of ${file.name}`}
        onAction={() => cancelUpload(upload)}
      >
        Cancel
      </ActionButton>
    </div>
  );
}

function stageText({ sending, file, flow }: LocalUpload): string {
  const amount = `${formatBytes(sending.sentBytes)} of ${formatBytes(file.size)}`;
  switch (sending.stage) {
    case "preparing":
      return "Preparing";
    case "waiting":
      return `${amount} · the connection is lost; it goes on by itself`;
    case "checking":
      return "All bytes are there; the checksum and the format are being checked";
    case "sending": {
      const done = sending.sentBytes - flow.bytes;
      const pace = formatPace(
        { done, total: file.size - flow.bytes, unit: "bytes", startedAt: flow.at },
        Math.max(now.value, Date.now()),
      );
      const resumed = sending.resumedFrom > 0 ? `resumed at ${formatBytes(sending.resumedFrom)}` : "";
      return [amount, pace, resumed].filter(Boolean).join(" · ");
    }
  }
}

/** Uploads that have stopped half way, or that go on somewhere else. */
function Remains({ hypervisorId }: { hypervisorId: string }) {
  const loaded = useLoad("uploads", async (signal) => (await call("listUploads", { signal })).items);
  useEvents((event) => {
    if (event.type !== "upload") return;
    loaded.change((items) => [...items.filter((one) => one.id !== event.upload.id), event.upload]);
  });
  const own = new Set(uploads.value.map((one) => one.sending.uploadId));
  const names = new Set(uploads.value.map((one) => one.file.name));
  const remains = (loaded.value ?? []).filter((one) =>
    one.state === "receiving" && one.hypervisorId === hypervisorId && !own.has(one.id) &&
    !names.has(one.fileName)
  );
  const remove = async (upload: Upload) => {
    if (await cancelRemains(upload)) loaded.change((items) => items.filter((one) => one.id !== upload.id));
  };
  return (
    <>
      {remains.map((upload) => (
        <Alert
          key={upload.id}
          isInline
          variant="info"
          component="p"
          title={`${upload.fileName}: ${formatBytes(upload.receivedBytes)} of ${
            formatBytes(upload.bytes)
          } have arrived`}
          actionLinks={
            <AlertActionLink onClick={() => void remove(upload)}>
              Give up<span className="pf-v6-screen-reader">{upload.fileName}</span>
            </AlertActionLink>
          }
        >
          Begun <Time at={upload.startedAt} /> by{" "}
          {upload.startedBy}. Choose the same file again to go on where it stopped.
        </Alert>
      ))}
    </>
  );
}
