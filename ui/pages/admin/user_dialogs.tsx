import { useState } from "preact/hooks";
import { type User, UserRole } from "../../../contracts/user.ts";
import { call, fieldErrors } from "../../api.ts";
import { SelectField, TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { publish } from "../../events.ts";
import { useAction } from "../../stores/action.ts";
import { toast } from "../../stores/toasts.ts";
import { updateUser, userRoleHelp, userRoleTexts } from "./user_actions.ts";

const roleOptions = UserRole.options.map((value) => ({
  value,
  label: `${userRoleTexts[value]}: ${userRoleHelp[value]}`,
}));

export function CreateUserDialog(
  { onClose, onCreated }: { onClose: () => void; onCreated: (user: User) => void },
) {
  const [username, setUsername] = useState("");
  const [displayName, setDisplayName] = useState("");
  const [role, setRole] = useState<UserRole>("user");
  const [password, setPassword] = useState("");
  const create = useAction(async () => {
    const body = { username: username.trim(), displayName, role, password };
    const { user } = await call("createUser", { body });
    publish({ type: "user", id: user.id });
    toast({ variant: "success", title: `${user.username} created` });
    onCreated(user);
  });
  const errors = fieldErrors(create.error);
  return (
    <FormDialog
      title="Create user"
      submitText="Create"
      action={create}
      onSubmit={() => void create.run()}
      onClose={onClose}
      canSubmit={username.trim() !== "" && password !== ""}
      fields={["username", "displayName", "role", "password"]}
    >
      <TextField
        id="username"
        label="User name"
        required
        value={username}
        onChange={setUsername}
        error={errors.username}
      />
      <TextField
        id="display-name"
        label="Full name"
        value={displayName}
        onChange={setDisplayName}
        error={errors.displayName}
      />
      <SelectField
        id="role"
        label="Role"
        value={role}
        onChange={(value) => setRole(UserRole.parse(value))}
        options={roleOptions}
        error={errors.role}
      />
      <TextField
        id="password"
        label="Password"
        type="password"
        autoComplete="new-password"
        required
        value={password}
        onChange={setPassword}
        help="At least 8 characters; the user can change it"
        error={errors.password}
      />
    </FormDialog>
  );
}

export function EditUserDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [displayName, setDisplayName] = useState(user.displayName);
  const [role, setRole] = useState<UserRole>(user.role);
  const save = useAction(async () => {
    await call("updateUser", { params: { id: user.id }, body: { displayName, role } });
    publish({ type: "user", id: user.id });
    onClose();
  });
  const errors = fieldErrors(save.error);
  return (
    <FormDialog
      title={`Edit ${user.username}`}
      submitText="Save"
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      fields={["displayName", "role"]}
    >
      <TextField
        id="display-name"
        label="Full name"
        value={displayName}
        onChange={setDisplayName}
        error={errors.displayName}
      />
      <SelectField
        id="role"
        label="Role"
        value={role}
        onChange={(value) => setRole(UserRole.parse(value))}
        options={roleOptions}
        error={errors.role}
      />
    </FormDialog>
  );
}

export function SetPasswordDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const save = useAction(async () => {
    await call("updateUser", { params: { id: user.id }, body: { password } });
    toast({ variant: "success", title: `Password of ${user.username} set` });
    onClose();
  });
  return (
    <FormDialog
      title={`Set the password of ${user.username}`}
      submitText="Set password"
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      canSubmit={password !== ""}
      fields={["password"]}
    >
      <TextField
        id="password"
        label="New password"
        type="password"
        autoComplete="new-password"
        required
        value={password}
        onChange={setPassword}
        help="At least 8 characters; sessions of the user end"
        error={fieldErrors(save.error).password}
      />
    </FormDialog>
  );
}

export const unlockUser = (user: User) => updateUser(user, { unlock: true }, `${user.username} unlocked`);
