import { Button, Form, Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core";
import type { ReactNode } from "react";
import type { Action } from "../stores/action.ts";
import { fieldErrors } from "../api.ts";
import { InlineProblem } from "./problem.tsx";

interface Props {
  title: string;
  submitText: string;
  action: Pick<Action<unknown[]>, "busy" | "error">;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
  /** Off while what was typed can't be right. */
  canSubmit?: boolean;
  variant?: "small" | "medium" | "large";
  /** What is done can't be taken back. */
  danger?: boolean;
  /** Paths of the fields that show their own errors; any other error is shown above the form. */
  fields?: string[];
}

/** A form in a dialog: Enter submits, a second submit waits for the first, an error is said where it belongs. */
export function FormDialog(props: Props) {
  const { title, submitText, action, onSubmit, onClose, children, canSubmit = true } = props;
  const formId = "form-dialog";
  const named = Object.keys(fieldErrors(action.error));
  const shownAtField = named.length > 0 && named.every((path) => props.fields?.includes(path));
  return (
    <Modal
      isOpen
      variant={props.variant ?? "small"}
      onClose={onClose}
      aria-labelledby="form-dialog-title"
      // A form may have no field yet: the selector must find something then, too.
      elementToFocus={`#${formId} :is(input, select, textarea):not(:disabled), [form=${formId}]`}
    >
      <ModalHeader
        title={title}
        labelId="form-dialog-title"
        {...(props.danger ? { titleIconVariant: "warning" as const } : {})}
      />
      <ModalBody>
        <Form
          id={formId}
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (canSubmit && !action.busy) {
              onSubmit();
            }
          }}
        >
          {action.error && !shownAtField
            ? <InlineProblem title="This could not be done" error={action.error} />
            : null}
          {children}
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button
          type="submit"
          form={formId}
          variant={props.danger ? "danger" : "primary"}
          isLoading={action.busy}
          isDisabled={!canSubmit || action.busy}
        >
          {submitText}
        </Button>
        <Button variant="link" onClick={onClose}>Cancel</Button>
      </ModalFooter>
    </Modal>
  );
}
