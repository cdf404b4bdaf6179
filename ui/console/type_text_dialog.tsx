import { useEffect, useState } from "preact/hooks";
import { TextField } from "../components/field.tsx";
import { FormDialog } from "../components/form_dialog.tsx";
import { useAction } from "../stores/action.ts";
import { toast } from "../stores/toasts.ts";

interface Props {
  /** Resolves to the characters that could not be typed. */
  onType: (text: string) => Promise<string>;
  onClose: () => void;
}

/** Types a text into the guest as if on its keyboard: for passwords and commands where there is no shared clipboard. */
export function TypeTextDialog({ onType, onClose }: Props) {
  const [text, setText] = useState("");
  const type = useAction(async () => {
    const missing = await onType(text);
    if (missing) toast({ variant: "warning", title: "Some characters could not be typed", detail: missing });
    onClose();
  });
  useEffect(() => document.getElementById("text-to-type")?.focus(), []);
  return (
    <FormDialog
      title="Type text"
      submitText="Type"
      action={type}
      onSubmit={() => void type.run()}
      onClose={onClose}
      canSubmit={text !== ""}
    >
      <TextField
        id="text-to-type"
        label="Text"
        help="Typed key by key as on a US keyboard; the guest's keyboard layout must be US, too."
        lines={4}
        value={text}
        onChange={setText}
      />
    </FormDialog>
  );
}
