import { Alert, Button, Content } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { HostKey, Hypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { CopyBlock } from "../../components/copy_block.tsx";
import { Facts } from "../../components/facts.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { useAction } from "../../stores/action.ts";
import { isAdmin } from "../../stores/session.ts";
import { toast } from "../../stores/toasts.ts";
import { saveHypervisor } from "./hypervisor_actions.ts";

/** Where sshd keeps the public half of a key of this algorithm. */
export function hostKeyFile(algorithm: string): string {
  const kind = algorithm.includes("ed25519") ? "ed25519" : algorithm.includes("ecdsa") ? "ecdsa" : "rsa";
  return `/etc/ssh/ssh_host_${kind}_key.pub`;
}

/** A host's key as it answered, with the command that shows the same on the host itself. */
export function HostKeyFacts({ hostKey }: { hostKey: HostKey }) {
  return (
    <div className="kv-stack">
      <Facts
        columns={1}
        items={{ Algorithm: hostKey.algorithm, Fingerprint: <Fingerprint text={hostKey.fingerprint} /> }}
      />
      <div>
        <Content component="p">
          Compare it with what the host says of itself. At its console, or where you trust the connection
          already, run:
        </Content>
        <CopyBlock label="command" text={`ssh-keygen -lf ${hostKeyFile(hostKey.algorithm)}`} />
      </div>
    </div>
  );
}

export const Fingerprint = ({ text }: { text: string }) => <code className="kv-fingerprint">{text}</code>;

/** The pinned key of a hypervisor; when the host has another one now, both are shown before the new one is accepted. */
export function HostKeyCheck({ hypervisor }: { hypervisor: Hypervisor }) {
  const [found, setFound] = useState<HostKey | null>(null);
  const { ssh } = hypervisor;
  const read = useAction(async () => {
    if (!ssh) return;
    setFound(null);
    setFound((await call("readHostKey", { body: { address: ssh.address, port: ssh.port } })).hostKey);
  });
  const accept = useAction(async () => {
    if (!found) return;
    const hostKey = { algorithm: found.algorithm, key: found.key };
    await saveHypervisor(hypervisor, { ssh: { hostKey } });
    setFound(null);
    toast({ variant: "success", title: `New host key of ${hypervisor.name} accepted` });
  });
  if (!ssh) return null;
  const same = found?.fingerprint === ssh.hostKey.fingerprint;
  return (
    <div className="kv-stack">
      <Facts
        columns={1}
        items={{
          "Host key": ssh.hostKey.algorithm,
          Fingerprint: <Fingerprint text={ssh.hostKey.fingerprint} />,
        }}
      />
      {isAdmin.value && (
        <div>
          <Button
            variant="secondary"
            isLoading={read.busy}
            isDisabled={read.busy}
            onClick={() => void read.run()}
          >
            Read host key again
          </Button>
        </div>
      )}
      {read.error ? <InlineProblem title="The host key could not be read" error={read.error} /> : null}
      {found && same && (
        <Alert
          isInline
          isLiveRegion
          component="p"
          variant="success"
          title="The host still has the same key"
        />
      )}
      {found && !same && (
        <ChangedKey
          pinned={ssh.hostKey}
          found={found}
          accept={accept}
          onKeep={() => setFound(null)}
        />
      )}
    </div>
  );
}

interface ChangedKeyProps {
  pinned: HostKey;
  found: HostKey;
  accept: { run: () => Promise<boolean>; busy: boolean; error: unknown };
  onKeep: () => void;
}

function ChangedKey({ pinned, found, accept, onKeep }: ChangedKeyProps) {
  return (
    <Alert isInline isLiveRegion component="p" variant="danger" title="The host has another key now">
      <div className="kv-stack">
        <Content component="p">
          That is so after the host was installed anew. If it was not, somebody may be between this dashboard
          and the host: do not accept the key.
        </Content>
        <Facts
          columns={1}
          items={{
            "Confirmed before": <Fingerprint text={pinned.fingerprint} />,
            "Now": <Fingerprint text={found.fingerprint} />,
          }}
        />
        <div>
          <Content component="p">On the host itself, this shows the right one:</Content>
          <CopyBlock label="command" text={`ssh-keygen -lf ${hostKeyFile(found.algorithm)}`} />
        </div>
        {accept.error ? <InlineProblem title="The key was not accepted" error={accept.error} /> : null}
        <div className="kv-actions">
          <Button
            variant="danger"
            isLoading={accept.busy}
            isDisabled={accept.busy}
            onClick={() => void accept.run()}
          >
            Accept the new key
          </Button>
          <Button variant="link" onClick={onKeep}>Keep the old one</Button>
        </div>
      </div>
    </Alert>
  );
}
