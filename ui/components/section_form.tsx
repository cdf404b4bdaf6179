import { Alert, Button, Card, CardBody, CardTitle, Content, Form } from "@patternfly/react-core";
import type { ReactNode } from "react";
import type { Action } from "../stores/action.ts";
import { InlineProblem } from "./problem.tsx";

interface Props {
  title: string;
  text?: ReactNode;
  action: Pick<Action<[]>, "run" | "busy" | "error">;
  /** Whether anything was changed that can be saved. */
  changed: boolean;
  onUndo: () => void;
  /** Why nothing can be changed now. */
  disabled?: string | null;
  /** The error is shown at a field. */
  shownAtField?: boolean;
  children: ReactNode;
}

/** A card whose fields are saved together. */
export function SectionForm(props: Props) {
  const { title, text, action, changed, onUndo, disabled = null, shownAtField = false, children } = props;
  const canSave = changed && !action.busy && disabled === null;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <Form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (canSave) void action.run();
          }}
        >
          {text && <Content component="p">{text}</Content>}
          {disabled && <Alert isInline isPlain component="p" variant="info" title={disabled} />}
          {action.error && !shownAtField
            ? <InlineProblem title="This was not saved" error={action.error} />
            : null}
          {children}
          <div className="kv-actions">
            <Button type="submit" isLoading={action.busy} isDisabled={!canSave}>Save</Button>
            {changed && <Button variant="link" onClick={onUndo}>Undo changes</Button>}
          </div>
        </Form>
      </CardBody>
    </Card>
  );
}
