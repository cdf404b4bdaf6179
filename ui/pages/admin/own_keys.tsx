import { Button, Content } from "@patternfly/react-core";
import type { OwnKey } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { CopyBlock } from "../../components/copy_block.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { Time } from "../../components/time.tsx";
import { useAction } from "../../stores/action.ts";
import { useLoad } from "../../stores/load.ts";
import { Fingerprint } from "./host_key.tsx";

/** The dashboard's own public keys, as lines for `authorized_keys`; an RSA key is made on request. */
export function OwnKeys() {
  const keys = useLoad("ssh-keys", (signal) => call("listOwnKeys", { signal }));
  const make = useAction(async () => {
    await call("createOwnKey", { body: { algorithm: "rsa" } });
    keys.reload();
  }, "The RSA key could not be made");
  if (keys.error && !keys.value) {
    return <InlineProblem title="The keys could not be loaded" error={keys.error} onRetry={keys.reload} />;
  }
  if (!keys.value) return <Waiting />;
  const items = keys.value.items;
  return (
    <div className="kv-stack">
      {items.map((key) => <OneKey key={key.algorithm} ownKey={key} />)}
      {!items.some(({ algorithm }) => algorithm === "rsa") && (
        <div>
          <Button variant="link" isInline isLoading={make.busy} onClick={() => void make.run()}>
            Make an RSA key, too
          </Button>
          <Content component="small">For hosts that do not take ed25519 keys.</Content>
        </div>
      )}
    </div>
  );
}

function OneKey({ ownKey }: { ownKey: OwnKey }) {
  return (
    <div>
      <CopyBlock label={`${ownKey.algorithm} key`} text={ownKey.publicKey} />
      <p className="kv-quiet">
        <Fingerprint text={ownKey.fingerprint} />, made <Time at={ownKey.createdAt} />
      </p>
    </div>
  );
}
