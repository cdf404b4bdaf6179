import { Alert, Button, Radio } from "@patternfly/react-core";
import { useRef, useState } from "preact/hooks";
import { messageOf } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import type { CredentialsDraft } from "./credentials.ts";

interface Props {
  draft: CredentialsDraft;
  onChange: (draft: CredentialsDraft) => void;
  errors: Record<string, string>;
}

/** An account that may install: root, or one that may sudo; with a password or a private key. */
export function CredentialsFields({ draft, onChange, errors }: Props) {
  const set = (patch: Partial<CredentialsDraft>) => onChange({ ...draft, ...patch });
  return (
    <>
      <Alert
        isInline
        isPlain
        variant="info"
        component="p"
        title="Used once to install the agent, then forgotten: never stored, never logged."
      />
      <TextField
        id="enrol-username"
        label="Account on the host"
        required
        value={draft.username}
        onChange={(username) => set({ username })}
        help="root, or one that may sudo"
        error={errors.username}
      />
      <div role="radiogroup" aria-label="How it signs in" className="kv-choices">
        <Radio
          id="enrol-by-password"
          name="enrol-by"
          label="With a password"
          isChecked={draft.by === "password"}
          onChange={() => set({ by: "password" })}
        />
        <Radio
          id="enrol-by-key"
          name="enrol-by"
          label="With a private key"
          isChecked={draft.by === "key"}
          onChange={() => set({ by: "key" })}
        />
      </div>
      {draft.by === "password"
        ? (
          <TextField
            id="enrol-password"
            label="Password"
            type="password"
            required
            value={draft.password}
            onChange={(password) => set({ password })}
            error={errors.password}
          />
        )
        : <KeyFields draft={draft} set={set} errors={errors} />}
      {draft.username.trim() !== "root" && (
        <TextField
          id="enrol-sudo"
          label="Password for sudo"
          type="password"
          value={draft.sudoPassword}
          onChange={(sudoPassword) => set({ sudoPassword })}
          help={draft.by === "password"
            ? "Only if it is not the account's password"
            : "Only if sudo asks for one"}
          error={errors.sudoPassword}
        />
      )}
    </>
  );
}

interface KeyFieldsProps {
  draft: CredentialsDraft;
  set: (patch: Partial<CredentialsDraft>) => void;
  errors: Record<string, string>;
}

const mostKeyBytes = 16384;

function KeyFields({ draft, set, errors }: KeyFieldsProps) {
  const picker = useRef<HTMLInputElement>(null);
  const [unread, setUnread] = useState<string | undefined>();
  const readKey = async (file: File | undefined) => {
    if (!file) return;
    if (file.size > mostKeyBytes) return setUnread(`${file.name} is too large for a private key`);
    try {
      set({ privateKey: await file.text() });
      setUnread(undefined);
    } catch (error) {
      setUnread(`${file.name} could not be read: ${messageOf(error)}`);
    }
  };
  return (
    <>
      <TextField
        id="enrol-key"
        label="Private key"
        required
        lines={5}
        value={draft.privateKey}
        onChange={(privateKey) => set({ privateKey })}
        help="OpenSSH or PEM: paste it, or choose its file"
        error={unread ?? errors.privateKey}
      />
      <div>
        <input
          ref={picker}
          type="file"
          hidden
          aria-label="File of the private key"
          onChange={(event) => void readKey(event.currentTarget.files?.[0])}
        />
        <Button variant="secondary" size="sm" onClick={() => picker.current?.click()}>Choose file</Button>
      </div>
      <TextField
        id="enrol-passphrase"
        label="Passphrase of the key"
        type="password"
        value={draft.passphrase}
        onChange={(passphrase) => set({ passphrase })}
        help="If it has one"
        error={errors.passphrase}
      />
    </>
  );
}
