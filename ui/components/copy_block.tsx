import { Button, CodeBlock, CodeBlockAction, CodeBlockCode } from "@patternfly/react-core";
import CheckIcon from "@patternfly/react-icons/dist/esm/icons/check-icon";
import CopyIcon from "@patternfly/react-icons/dist/esm/icons/copy-icon";
import { useState } from "preact/hooks";
import { copyText } from "./problem.tsx";

/** Text to be taken elsewhere: a key, a command. `label` says what it is. */
export function CopyBlock({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <CodeBlock
      className="kv-copy-block"
      actions={
        <CodeBlockAction>
          <Button
            variant="plain"
            aria-label={copied ? `${label} copied` : `Copy ${label}`}
            title={copied ? "Copied" : "Copy"}
            icon={copied ? <CheckIcon /> : <CopyIcon />}
            onClick={async () => setCopied(await copyText(text))}
          />
        </CodeBlockAction>
      }
    >
      <CodeBlockCode>{text}</CodeBlockCode>
    </CodeBlock>
  );
}
