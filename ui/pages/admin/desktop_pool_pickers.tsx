import type { DesktopPoolDetail } from "../../../contracts/desktop_pool.ts";
import { call } from "../../api.ts";
import { PickerDialog, type PickerNeed } from "../../components/picker_dialog.tsx";
import { machineStateText } from "../../components/states.tsx";
import { allMachines } from "../../stores/machine_actions.ts";
import { readAll } from "../../stores/pages.ts";
import { hypervisorName, hypervisors } from "../../stores/places.ts";

interface Props {
  pool: DesktopPoolDetail;
  onClose: () => void;
  onSaved: (pool: DesktopPoolDetail) => void;
}

const vdisThat = ({ q, filter }: PickerNeed) => ({
  role: "vdi" as const,
  ...(q ? { q } : {}),
  ...(filter ? { hypervisorId: filter } : {}),
});

/** Chooses the machines of a pool among all vdi machines, on whatever hypervisor. */
export function MemberPicker({ pool, onClose, onSaved }: Props) {
  return (
    <PickerDialog
      title={`Machines of ${pool.name}`}
      what="machine"
      chosen={pool.machineIds}
      filter={{
        label: "Hypervisor",
        options: hypervisors.value.map(({ id, name }) => ({ value: id, text: name })),
      }}
      load={async (need, paging, signal) => {
        const page = await call("listMachines", { query: { ...vdisThat(need), ...paging }, signal });
        return {
          total: page.total,
          items: page.items.map((machine) => ({
            id: machine.id,
            title: machine.name,
            detail: [
              hypervisorName(machine.hypervisorId),
              machineStateText(machine.state),
              ...machine.desktopPools.filter((one) => one.id !== pool.id).map((one) => `also in ${one.name}`),
              ...(machine.lease ? [`used by ${machine.lease.username}`] : []),
            ].join(" · "),
          })),
        };
      }}
      loadAll={async (need) => (await allMachines(vdisThat(need))).map((one) => one.id)}
      onSave={async (machineIds) =>
        onSaved(
          (await call("putPoolMachines", { params: { id: pool.id }, body: { machineIds } })).desktopPool,
        )}
      onClose={onClose}
    />
  );
}

/** Chooses the users that may use a pool. */
export function EntitlementPicker({ pool, onClose, onSaved }: Props) {
  const { userIds, groupIds } = pool.entitlements;
  return (
    <PickerDialog
      title={`Users of ${pool.name}`}
      what="user"
      chosen={userIds}
      load={async ({ q }, paging, signal) => {
        const page = await call("listUsers", { query: { ...(q ? { q } : {}), ...paging }, signal });
        return {
          total: page.total,
          items: page.items.map((user) => ({ id: user.id, title: user.username, detail: user.displayName })),
        };
      }}
      loadAll={async ({ q }) => {
        const users = await readAll((paging) =>
          call("listUsers", { query: { ...(q ? { q } : {}), ...paging } })
        );
        return users.map((user) => user.id);
      }}
      onSave={async (ids) =>
        onSaved(
          (await call("putEntitlements", { params: { id: pool.id }, body: { userIds: ids, groupIds } }))
            .desktopPool,
        )}
      onClose={onClose}
    />
  );
}
