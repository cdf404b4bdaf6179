import { useState } from "preact/hooks";
import { call, fieldErrors } from "../api.ts";
import { useAction } from "../stores/action.ts";
import { toast } from "../stores/toasts.ts";
import { TextField } from "./field.tsx";
import { FormDialog } from "./form_dialog.tsx";

/** Changes the own password. Other sessions of the account end. */
export function ChangePasswordDialog({ onClose }: { onClose: () => void }) {
  const [currentPassword, setCurrent] = useState("");
  const [newPassword, setNew] = useState("");
  const [again, setAgain] = useState("");
  const change = useAction(async () => {
    await call("changePassword", { body: { currentPassword, newPassword } });
    toast({ variant: "success", title: "Password changed", detail: "Your other sessions were signed out." });
    onClose();
  });
  const errors = fieldErrors(change.error);
  const differs = again !== "" && again !== newPassword;
  return (
    <FormDialog
      title="Change password"
      submitText="Change password"
      action={change}
      onSubmit={() => void change.run()}
      onClose={onClose}
      canSubmit={currentPassword !== "" && newPassword !== "" && again === newPassword}
      fields={["currentPassword", "newPassword"]}
    >
      <TextField
        id="current-password"
        label="Current password"
        type="password"
        autoComplete="current-password"
        required
        value={currentPassword}
        onChange={setCurrent}
        error={errors.currentPassword}
      />
      <TextField
        id="new-password"
        label="New password"
        type="password"
        autoComplete="new-password"
        required
        value={newPassword}
        onChange={setNew}
        help="At least 8 characters"
        error={errors.newPassword}
      />
      <TextField
        id="new-password-again"
        label="New password again"
        type="password"
        autoComplete="new-password"
        required
        value={again}
        onChange={setAgain}
        error={differs ? "The two passwords differ" : undefined}
      />
    </FormDialog>
  );
}
