import { ActionGroup, Button, Content, Form, FormSection, PageSection, Title } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { z } from "zod";
import type { Settings } from "../../../contracts/settings.ts";
import { plainPaths } from "../../../contracts/api.ts";
import { call, fieldErrors } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { InlineProblem, Problem } from "../../components/problem.tsx";
import { useAction } from "../../stores/action.ts";
import { useLoad } from "../../stores/load.ts";
import { loadSession, session } from "../../stores/session.ts";
import { toast } from "../../stores/toasts.ts";
import { OwnKeys } from "./own_keys.tsx";

type Values = z.infer<typeof Settings>;
type NumberField = Exclude<keyof Values, "siteName">;

const sections: { title: string; fields: { key: NumberField; label: string; help: string }[] }[] = [
  {
    title: "Sign-in",
    fields: [
      {
        key: "sessionHours",
        label: "A sign-in lasts (hours)",
        help: "Then the password is asked for again.",
      },
      {
        key: "lockoutAttempts",
        label: "Wrong passwords before a lockout",
        help: "Protects against guessing.",
      },
      { key: "lockoutMinutes", label: "A lockout lasts (minutes)", help: "An admin can end it earlier." },
    ],
  },
  {
    title: "Desktops",
    fields: [
      {
        key: "desktopStartSeconds",
        label: "A desktop may take to start (seconds)",
        help: "After that it counts as failed and the user is told.",
      },
      {
        key: "heartbeatSeconds",
        label: "Sign of life from devices every (seconds)",
        help: "Shorter frees desktops sooner and costs more requests.",
      },
      {
        key: "displayTicketSeconds",
        label: "A display ticket can be used for (seconds)",
        help: "The one-time secret that opens a desktop's screen.",
      },
      {
        key: "keepLostDesktopHours",
        label: "Keep a lost desktop for its user (hours)",
        help: "When a hypervisor is lost, its user's unsaved work may come back with it. 0: not kept.",
      },
    ],
  },
  {
    title: "Images and uploads",
    fields: [
      {
        key: "keepImageVersions",
        label: "Versions kept of every image",
        help: "The current one included. Older ones that nothing uses are removed; pinned ones stay.",
      },
      {
        key: "keepImageDays",
        label: "Keep every version for at least (days)",
        help: "Younger versions are kept however many there are.",
      },
      {
        key: "uploadQuotaGiB",
        label: "Space for uploads on each hypervisor (GiB)",
        help: "0: nothing can be uploaded.",
      },
    ],
  },
];

/** Settings of the whole installation. */
export function SettingsPage() {
  const loaded = useLoad("settings", (signal) => call("getSettings", { signal }));
  if (loaded.error && !loaded.value) {
    return <Problem title="The settings could not be loaded" error={loaded.error} onRetry={loaded.reload} />;
  }
  return (
    <>
      <PageHead title="Settings" />
      <PageSection isFilled>
        {loaded.value
          ? (
            <SettingsForm
              settings={loaded.value.settings}
              onSaved={(settings) => loaded.change(() => ({ settings }))}
            />
          )
          : <Waiting />}
        <SshKeys />
        <p className="kv-quiet kv-gap-above">
          KVM-VDI {session.value?.version} · <a href={plainPaths.docs}>API documentation</a> ·{" "}
          <a href={plainPaths.certificate}>CA certificate for thin clients</a>
        </p>
      </PageSection>
    </>
  );
}

/** What identifies this dashboard to other hosts. */
function SshKeys() {
  return (
    <section className="kv-ssh-keys" aria-labelledby="ssh-keys-title">
      <Title headingLevel="h2" size="lg" id="ssh-keys-title">SSH keys of this dashboard</Title>
      <Content component="p">
        With these it signs in to hypervisors. Adding a hypervisor puts them in place; by hand, the line goes
        into <code>authorized_keys</code> of the account there.
      </Content>
      <OwnKeys />
    </section>
  );
}

function SettingsForm({ settings, onSaved }: { settings: Values; onSaved: (settings: Values) => void }) {
  const [draft, setDraft] = useState(() => textOf(settings));
  const changes = changesOf(settings, draft);
  const save = useAction(async () => {
    const answer = await call("updateSettings", { body: changes });
    onSaved(answer.settings);
    setDraft(textOf(answer.settings));
    toast({ variant: "success", title: "Settings saved" });
    if (changes.siteName !== undefined) await loadSession();
  });
  const errors = fieldErrors(save.error);
  const named = Object.keys(errors).length > 0;
  return (
    <Form
      isWidthLimited
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      {save.error && !named ? <InlineProblem title="The settings were not saved" error={save.error} /> : null}
      <FormSection title="Site" titleElement="h2">
        <TextField
          id="siteName"
          label="Name of this site"
          required
          value={draft.siteName}
          onChange={(siteName) => setDraft({ ...draft, siteName })}
          help="Shown to users at the top of every page"
          error={errors.siteName}
        />
      </FormSection>
      {sections.map(({ title, fields }) => (
        <FormSection key={title} title={title} titleElement="h2">
          {fields.map(({ key, label, help }) => (
            <TextField
              key={key}
              id={key}
              type="number"
              label={label}
              help={help}
              value={draft[key]}
              onChange={(text) => setDraft({ ...draft, [key]: text })}
              error={errors[key]}
            />
          ))}
        </FormSection>
      ))}
      <ActionGroup>
        <Button
          type="submit"
          isLoading={save.busy}
          isDisabled={save.busy || Object.keys(changes).length === 0}
        >
          Save
        </Button>
        <Button variant="link" onClick={() => setDraft(textOf(settings))}>Undo changes</Button>
      </ActionGroup>
    </Form>
  );
}

type Draft = Record<keyof Values, string>;
const textOf = (settings: Values) =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)])) as Draft;

function changesOf(settings: Values, draft: Draft): Partial<Values> {
  const entries = Object.entries(draft).filter(([key, text]) =>
    String(settings[key as keyof Values]) !== text
  )
    .map(([key, text]) => [key, key === "siteName" ? text : Number(text)]);
  return Object.fromEntries(entries);
}
