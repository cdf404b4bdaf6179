import {
  Button,
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  Grid,
  GridItem,
  PageSection,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { User } from "../../../contracts/user.ts";
import { call } from "../../api.ts";
import { Facts } from "../../components/facts.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { PickerDialog } from "../../components/picker_dialog.tsx";
import { Problem } from "../../components/problem.tsx";
import { Time } from "../../components/time.tsx";
import { formatExact } from "../../format.ts";
import { navigate } from "../../router.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { desktopPools } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { SessionTable } from "./session_table.tsx";
import { deleteUser, isLocked, setUserDisabled, userRoleHelp, userRoleTexts } from "./user_actions.ts";
import { EditUserDialog, SetPasswordDialog, unlockUser } from "./user_dialogs.tsx";
import { UserFlags } from "./users_page.tsx";

type Dialog = "edit" | "password" | "pools" | null;

/** One account: who it is, what it may use, what it uses now. */
export function UserPage({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => call("getUser", { params: { id }, signal }));
  const [dialog, setDialog] = useState<Dialog>(null);
  useEvents((event) => {
    if (event.type === "user" && event.id === id) loaded.reloadSoon();
  });
  if (loaded.error && !loaded.value) {
    return <Problem title="The user could not be loaded" error={loaded.error} onRetry={loaded.reload} />;
  }
  const user = loaded.value?.user;
  if (!user) return <Waiting />;
  return (
    <>
      <PageHead
        title={user.username}
        trail={[{ href: "/users", text: "Users" }]}
        labels={<UserFlags user={user} />}
        actions={isAdmin.value && <Actions user={user} open={setDialog} />}
      />
      <PageSection isFilled>
        <Grid hasGutter>
          <GridItem lg={6}>
            <Card isFullHeight>
              <CardTitle component="h2">Account</CardTitle>
              <CardBody>
                <Facts
                  columns={1}
                  items={{
                    "Full name": user.displayName || "–",
                    Role: `${userRoleTexts[user.role]}: ${userRoleHelp[user.role]}`,
                    "Last sign-in": <Time at={user.lastSignInAt} />,
                    "Locked until": isLocked(user) ? formatExact(user.lockedUntil ?? 0) : null,
                    Created: <Time at={user.createdAt} />,
                  }}
                />
              </CardBody>
            </Card>
          </GridItem>
          <GridItem lg={6}>
            <PoolsCard user={user} onChange={() => setDialog("pools")} />
          </GridItem>
          <GridItem>
            <Card>
              <CardTitle component="h2">Desktops in use</CardTitle>
              <CardBody>
                <SessionTable query={{ userId: user.id, limit: 20 }} label={`Sessions of ${user.username}`} />
              </CardBody>
            </Card>
          </GridItem>
        </Grid>
      </PageSection>
      {dialog === "edit" && <EditUserDialog user={user} onClose={() => setDialog(null)} />}
      {dialog === "password" && <SetPasswordDialog user={user} onClose={() => setDialog(null)} />}
      {dialog === "pools" && (
        <PoolPicker
          user={user}
          onClose={() => setDialog(null)}
          onSaved={loaded.reload}
        />
      )}
    </>
  );
}

function Actions({ user, open }: { user: User; open: (dialog: Dialog) => void }) {
  const remove = async () => {
    if (await deleteUser(user)) navigate("/users");
  };
  return (
    <>
      {isLocked(user) && <Button onClick={() => void unlockUser(user)}>Unlock</Button>}
      <Button variant="secondary" onClick={() => open("edit")}>Edit</Button>
      <Button variant="secondary" onClick={() => open("password")}>Set password</Button>
      <Button variant="secondary" onClick={() => void setUserDisabled(user, !user.disabled)}>
        {user.disabled ? "Enable" : "Disable"}
      </Button>
      <Button variant="secondary" isDanger onClick={() => void remove()}>Delete</Button>
    </>
  );
}

function PoolsCard({ user, onChange }: { user: User; onChange: () => void }) {
  const button = <Button variant="secondary" size="sm" onClick={onChange}>Choose desktop pools</Button>;
  return (
    <Card isFullHeight>
      <CardHeader actions={{ actions: button, hasNoOffset: true }}>
        <CardTitle component="h2">Desktop pools</CardTitle>
      </CardHeader>
      <CardBody>
        {user.desktopPools.length === 0
          ? <span className="kv-quiet">None: {user.username} sees no desktop after signing in.</span>
          : (
            <ul className="kv-family">
              {user.desktopPools.map((pool) => (
                <li key={pool.id}>
                  <a href={`/desktop-pools/${pool.id}`}>{pool.name}</a>
                </li>
              ))}
            </ul>
          )}
      </CardBody>
    </Card>
  );
}

/** Sets which pools a user may use, by changing the entitlements of each pool that differs. */
function PoolPicker({ user, onClose, onSaved }: { user: User; onClose: () => void; onSaved: () => void }) {
  const had = user.desktopPools.map((pool) => pool.id);
  const find = (q = "") =>
    desktopPools.value.filter((pool) => pool.name.toLowerCase().includes(q.toLowerCase()));
  return (
    <PickerDialog
      title={`Desktop pools of ${user.username}`}
      what="desktop pool"
      chosen={had}
      load={({ q }, paging) => {
        const found = find(q);
        return Promise.resolve({
          total: found.length,
          items: found.slice(paging.offset, paging.offset + paging.limit)
            .map((pool) => ({ id: pool.id, title: pool.name, detail: pool.description })),
        });
      }}
      loadAll={({ q }) => Promise.resolve(find(q).map((pool) => pool.id))}
      onSave={async (ids) => {
        const changed = [...had.filter((id) => !ids.includes(id)), ...ids.filter((id) => !had.includes(id))];
        for (const id of changed) await setEntitled(id, user.id, ids.includes(id));
        onSaved();
      }}
      onClose={onClose}
    />
  );
}

async function setEntitled(poolId: string, userId: string, entitled: boolean): Promise<void> {
  const { desktopPool } = await call("getDesktopPool", { params: { id: poolId } });
  const { userIds, groupIds } = desktopPool.entitlements;
  const others = userIds.filter((id) => id !== userId);
  const body = { userIds: entitled ? [...others, userId] : others, groupIds };
  await call("putEntitlements", { params: { id: poolId }, body });
}
