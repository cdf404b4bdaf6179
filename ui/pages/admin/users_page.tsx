import { Button, Label, PageSection } from "@patternfly/react-core";
import PlusIcon from "@patternfly/react-icons/dist/esm/icons/plus-icon";
import { useState } from "preact/hooks";
import { type User, UserRole } from "../../../contracts/user.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Time } from "../../components/time.tsx";
import { location, navigate, setQuery } from "../../router.ts";
import { useListQuery } from "../../stores/list_query.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { desktopPools } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { deleteUser, isLocked, setUserDisabled, userRoleTexts } from "./user_actions.ts";
import { CreateUserDialog, EditUserDialog, SetPasswordDialog, unlockUser } from "./user_dialogs.tsx";

/** State of an account as labels. */
export function UserFlags({ user }: { user: User }) {
  return (
    <>
      {user.disabled && <Label isCompact color="grey">Disabled</Label>}
      {isLocked(user) && <Label isCompact color="orange" title="Too many wrong passwords">Locked out</Label>}
    </>
  );
}

const columns: Column<User>[] = [
  {
    title: "User",
    render: (user) => (
      <span className="kv-labels">
        <a href={`/users/${user.id}`}>{user.username}</a>
        <UserFlags user={user} />
      </span>
    ),
  },
  { title: "Name", render: (user) => user.displayName },
  { title: "Role", render: (user) => userRoleTexts[user.role] },
  { title: "Desktop pools", render: (user) => user.desktopPools.map((pool) => pool.name).join(", ") },
  { title: "Last sign-in", nowrap: true, render: (user) => <Time at={user.lastSignInAt} /> },
];

/** Everybody who may sign in. */
export function UsersPage() {
  const list = useListQuery();
  const role = UserRole.safeParse(list.filter("role")).data;
  const desktopPoolId = list.filter("desktopPoolId");
  const query = { ...list.paging, ...(role ? { role } : {}), ...(desktopPoolId ? { desktopPoolId } : {}) };
  const loaded = useLoad(JSON.stringify(query), (signal) => call("listUsers", { query, signal }));
  const [editing, setEditing] = useState<User | null>(null);
  const [settingPassword, setSettingPassword] = useState<User | null>(null);
  useEvents((event) => event.type === "user" && loaded.reloadSoon());
  const creating = location.value.query.get("new") === "true";
  const narrowed = list.q !== "" || role !== undefined || desktopPoolId !== "";
  const create = isAdmin.value && (
    <Button icon={<PlusIcon />} onClick={() => setQuery({ new: true })}>Create user</Button>
  );
  const actions = (user: User) => [
    { title: "Edit", onClick: () => setEditing(user) },
    { title: "Set password", onClick: () => setSettingPassword(user) },
    ...(isLocked(user) ? [{ title: "Unlock", onClick: () => void unlockUser(user) }] : []),
    {
      title: user.disabled ? "Enable" : "Disable",
      onClick: () => void setUserDisabled(user, !user.disabled),
    },
    { title: "Delete", isDanger: true, onClick: () => void deleteUser(user) },
  ];
  return (
    <>
      <PageHead title="Users" actions={create} />
      <PageSection isFilled>
        <ListToolbar
          list={{ ...list, narrowed }}
          total={loaded.value?.total}
          search="User name or full name"
          filters={[
            {
              name: "role",
              title: "Role",
              options: UserRole.options.map((value) => ({ value, text: userRoleTexts[value] })),
            },
            {
              name: "desktopPoolId",
              title: "Desktop pool",
              options: desktopPools.value.map(({ id, name }) => ({ value: id, text: name })),
            },
          ]}
        />
        <DataTable
          label="Users"
          loaded={loaded}
          list={{ ...list, narrowed }}
          columns={columns}
          nameOf={(user) => user.username}
          {...(isAdmin.value ? { actions } : {})}
          empty={{
            title: "No users yet",
            text: "Create a user, then entitle them to a desktop pool.",
            action: create,
          }}
        />
        {(loaded.value?.total ?? 0) > list.perPage && (
          <ListPagination list={list} total={loaded.value?.total ?? 0} />
        )}
      </PageSection>
      {creating && isAdmin.value && (
        <CreateUserDialog
          onClose={() => setQuery({ new: null })}
          onCreated={(user) => navigate(`/users/${user.id}`)}
        />
      )}
      {editing && <EditUserDialog user={editing} onClose={() => setEditing(null)} />}
      {settingPassword && (
        <SetPasswordDialog
          user={settingPassword}
          onClose={() => setSettingPassword(null)}
        />
      )}
    </>
  );
}
