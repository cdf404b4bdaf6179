import { Alert, AlertActionLink, Button, PageSection } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import { errorDetails, messageOf } from "../api.ts";

interface Props {
  title: string;
  error: unknown;
  onRetry?: () => void;
}

/** What failed, why, and a way on: shown where the result would have been. */
export function InlineProblem({ title, error, onRetry }: Props) {
  return (
    <Alert
      variant="danger"
      isInline
      title={title}
      actionLinks={
        <>
          {onRetry && <AlertActionLink onClick={onRetry}>Try again</AlertActionLink>}
          <CopyDetails error={error} />
        </>
      }
    >
      {messageOf(error)}
    </Alert>
  );
}

export function Problem(props: Props) {
  return (
    <PageSection isFilled>
      <InlineProblem {...props} />
    </PageSection>
  );
}

/** Copies everything known about an error, for a ticket. */
export const CopyDetails = ({ error }: { error: unknown }) => <CopyText text={errorDetails(error)} />;

export function CopyText({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => setCopied(await copyText(text));
  return <Button variant="link" isInline onClick={copy}>{copied ? "Copied" : "Copy details"}</Button>;
}

/** Puts text on the clipboard; resolves to whether the browser allowed it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not a secure page, or no permission: the button then simply does not say "Copied"
  }
}
