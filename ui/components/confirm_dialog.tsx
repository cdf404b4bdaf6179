import {
  Button,
  Content,
  Form,
  FormGroup,
  List,
  ListItem,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
  TextInput,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import { question } from "../stores/confirm.ts";

const shownNames = 8;

/** The one dialog that asks "are you sure", and says what would be lost. */
export function ConfirmDialog() {
  const asked = question.value;
  return asked ? <Asking key={asked.title} asked={asked} /> : null;
}

function Asking({ asked }: { asked: NonNullable<typeof question.value> }) {
  const [typed, setTyped] = useState("");
  const allowed = !asked.typed || typed.trim() === asked.typed;
  return (
    <Modal
      isOpen
      variant="small"
      onClose={() => asked.answer(false)}
      aria-labelledby="confirm-title"
      aria-describedby="confirm-body"
    >
      <ModalHeader
        title={asked.title}
        labelId="confirm-title"
        {...(asked.danger ? { titleIconVariant: "warning" as const } : {})}
      />
      <ModalBody id="confirm-body">
        <Content component="p">{asked.body}</Content>
        <Affected names={asked.affected ?? []} />
        {asked.typed && (
          <Form onSubmit={(event) => (event.preventDefault(), allowed && asked.answer(true))}>
            <FormGroup label={`Type "${asked.typed}" to confirm`} fieldId="confirm-typed">
              <TextInput
                id="confirm-typed"
                autoComplete="off"
                value={typed}
                onChange={(_, text) => setTyped(text)}
              />
            </FormGroup>
          </Form>
        )}
      </ModalBody>
      <ModalFooter>
        <Button
          variant={asked.danger ? "danger" : "primary"}
          isDisabled={!allowed}
          onClick={() => asked.answer(true)}
        >
          {asked.confirmText}
        </Button>
        <Button variant="link" onClick={() => asked.answer(false)}>Cancel</Button>
      </ModalFooter>
    </Modal>
  );
}

function Affected({ names }: { names: string[] }) {
  if (names.length === 0) return null;
  const more = names.length - shownNames;
  return (
    <List className="kv-affected">
      {names.slice(0, shownNames).map((name) => <ListItem key={name}>{name}</ListItem>)}
      {more > 0 && <ListItem key="more">and {more.toLocaleString("en")} more</ListItem>}
    </List>
  );
}
