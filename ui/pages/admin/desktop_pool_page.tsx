import {
  Alert,
  Button,
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  Grid,
  GridItem,
  Label,
  PageSection,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { DesktopPoolDetail } from "../../../contracts/desktop_pool.ts";
import type { Machine } from "../../../contracts/machine.ts";
import type { User } from "../../../contracts/user.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Problem } from "../../components/problem.tsx";
import { MachineFlags, MachineStateLabel } from "../../components/states.tsx";
import { plural } from "../../format.ts";
import { navigate } from "../../router.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { hypervisorName } from "../../stores/places.ts";
import { deletePool, setPoolEnabled } from "./desktop_pool_actions.ts";
import { DesktopPoolDialog } from "./desktop_pool_dialog.tsx";
import { EntitlementPicker, MemberPicker } from "./desktop_pool_pickers.tsx";
import { ExplainCard } from "./explain_card.tsx";
import { machineMenu } from "./machine_menu.ts";
import { PoolStateCard } from "./pool_state_card.tsx";
import { PoolSpreadCard } from "./pool_spread_card.tsx";
import { SessionTable } from "./session_table.tsx";

type Dialog = "edit" | "machines" | "users" | null;
const shown = 20;

/** One desktop pool: its machines, its users, its policy, and who is on what. */
export function DesktopPoolPage({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => call("getDesktopPool", { params: { id }, signal }));
  const [dialog, setDialog] = useState<Dialog>(null);
  useEvents((event) => {
    if (event.type === "desktop-pool" && event.desktopPool.id === id) {
      loaded.change((old) => ({ desktopPool: { ...old.desktopPool, ...event.desktopPool } }));
    }
  });
  if (loaded.error && !loaded.value) {
    return (
      <Problem title="The desktop pool could not be loaded" error={loaded.error} onRetry={loaded.reload} />
    );
  }
  const pool = loaded.value?.desktopPool;
  if (!pool) return <Waiting />;
  const remove = async () => {
    if (await deletePool(pool)) navigate("/desktop-pools");
  };
  const saved = (desktopPool: DesktopPoolDetail) => loaded.change(() => ({ desktopPool }));
  return (
    <>
      <PageHead
        title={pool.name}
        trail={[{ href: "/desktop-pools", text: "Desktop pools" }]}
        labels={pool.enabled
          ? <Label isCompact color="green">Offered</Label>
          : <Label isCompact color="orange">Switched off</Label>}
        description={pool.description}
        actions={
          <>
            <Button variant="secondary" onClick={() => void setPoolEnabled(pool, !pool.enabled)}>
              {pool.enabled ? "Switch off" : "Switch on"}
            </Button>
            <Button variant="secondary" onClick={() => setDialog("edit")}>Edit</Button>
            <Button variant="secondary" isDanger onClick={() => void remove()}>Delete</Button>
          </>
        }
      />
      <PageSection isFilled>
        <Missing pool={pool} />
        <Grid hasGutter>
          <GridItem lg={7}>
            <PoolStateCard pool={pool} />
          </GridItem>
          <GridItem lg={5}>
            <ExplainCard pool={pool} />
          </GridItem>
          <GridItem>
            <PoolSpreadCard pool={pool} />
          </GridItem>
          <GridItem lg={7}>
            <MembersCard pool={pool} onChange={() => setDialog("machines")} />
          </GridItem>
          <GridItem lg={5}>
            <UsersCard pool={pool} onChange={() => setDialog("users")} />
          </GridItem>
          <GridItem>
            <Card>
              <CardTitle component="h2">Who is on what</CardTitle>
              <CardBody>
                <SessionTable
                  query={{ desktopPoolId: pool.id, limit: 50 }}
                  label={`Sessions of ${pool.name}`}
                />
              </CardBody>
            </Card>
          </GridItem>
        </Grid>
      </PageSection>
      {dialog === "edit" && (
        <DesktopPoolDialog
          pool={pool}
          onClose={() => setDialog(null)}
          onSaved={() => setDialog(null)}
        />
      )}
      {dialog === "machines" && <MemberPicker pool={pool} onClose={() => setDialog(null)} onSaved={saved} />}
      {dialog === "users" && (
        <EntitlementPicker
          pool={pool}
          onClose={() => setDialog(null)}
          onSaved={saved}
        />
      )}
    </>
  );
}

function Missing({ pool }: { pool: DesktopPoolDetail }) {
  const missing = pool.counts.total === 0
    ? "It has no machines yet: add members, so that there is something to give."
    : pool.entitledUsers === 0 && pool.entitlements.groupIds.length === 0
    ? "Nobody may use it yet: entitle users."
    : null;
  if (!missing) return null;
  return (
    <Alert
      variant="info"
      isInline
      component="p"
      title="This desktop pool can't be used yet"
      className="kv-gap-below"
    >
      {missing}
    </Alert>
  );
}

const memberColumns: Column<Machine>[] = [
  {
    title: "Machine",
    nowrap: true,
    render: (machine) => <a href={`/machines/${machine.id}`}>{machine.name}</a>,
  },
  {
    title: "State",
    render: (machine) => (
      <span className="kv-labels">
        <MachineStateLabel machine={machine} />
        <MachineFlags machine={machine} />
      </span>
    ),
  },
  {
    title: "User",
    render: (machine) =>
      machine.lease && <a href={`/users/${machine.lease.userId}`}>{machine.lease.username}</a>,
  },
  {
    title: "Hypervisor",
    minor: true,
    nowrap: true,
    render: (machine) => (
      <a href={`/hypervisors/${machine.hypervisorId}`}>{hypervisorName(machine.hypervisorId)}</a>
    ),
  },
];

function MembersCard({ pool, onChange }: { pool: DesktopPoolDetail; onChange: () => void }) {
  const loaded = useLoad(
    `members ${pool.id} ${pool.machineIds.join()}`,
    (signal) => call("listMachines", { query: { desktopPoolId: pool.id, limit: shown }, signal }),
  );
  useEvents((event) =>
    event.type === "machine" &&
    loaded.change((page) => ({ ...page, items: replaceById(page.items, event.machine) }))
  );
  const button = <Button variant="secondary" size="sm" onClick={onChange}>Choose machines</Button>;
  return (
    <Card isFullHeight>
      <CardHeader actions={{ actions: button, hasNoOffset: true }}>
        <CardTitle component="h2">Machines</CardTitle>
      </CardHeader>
      <CardBody>
        <DataTable
          label="Members"
          loaded={loaded}
          columns={memberColumns}
          actions={machineMenu}
          nameOf={(machine) => machine.name}
          empty={{
            title: "No machines yet",
            text: "Choose VDI machines: each can be given to one user at a time.",
          }}
        />
        {pool.machineIds.length > shown && (
          <a href={`/machines?desktopPoolId=${pool.id}`}>
            Show all {plural(pool.machineIds.length, "machine")}
          </a>
        )}
      </CardBody>
    </Card>
  );
}

const userColumns: Column<User>[] = [
  { title: "User", render: (user) => <a href={`/users/${user.id}`}>{user.username}</a> },
  { title: "Name", render: (user) => user.displayName },
];

function UsersCard({ pool, onChange }: { pool: DesktopPoolDetail; onChange: () => void }) {
  const loaded = useLoad(
    `users ${pool.id} ${pool.entitlements.userIds.join()}`,
    (signal) => call("listUsers", { query: { desktopPoolId: pool.id, limit: shown }, signal }),
  );
  const button = <Button variant="secondary" size="sm" onClick={onChange}>Choose users</Button>;
  return (
    <Card isFullHeight>
      <CardHeader actions={{ actions: button, hasNoOffset: true }}>
        <CardTitle component="h2">Users</CardTitle>
      </CardHeader>
      <CardBody>
        <DataTable
          label="Entitled users"
          loaded={loaded}
          columns={userColumns}
          nameOf={(user) => user.username}
          empty={{ title: "Nobody yet", text: "Choose who may use this desktop pool." }}
        />
        {pool.entitledUsers > shown && (
          <a href={`/users?desktopPoolId=${pool.id}`}>Show all {plural(pool.entitledUsers, "user")}</a>
        )}
      </CardBody>
    </Card>
  );
}
