import { Alert, Checkbox, Content, List, ListItem, Skeleton } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { DeletionPlan } from "../../../contracts/image.ts";
import type { Machine } from "../../../contracts/machine.ts";
import type { z } from "zod";
import { call } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { formatBytes, plural } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { showDialog } from "../../stores/dialog.ts";
import { followJob } from "../../stores/follow.ts";
import { useLoad } from "../../stores/load.ts";

type Plan = z.infer<typeof DeletionPlan>;

interface Props {
  machine: Machine;
  onClose: () => void;
  onDeleted?: (() => void) | undefined;
}

/** `onDeleted` runs once the deletion has begun. */
export const openDeletion = (machine: Machine, onDeleted?: () => void) =>
  showDialog((close) => <DeletionDialog machine={machine} onClose={close} onDeleted={onDeleted} />);

/** What goes with a machine, or why it can't go now. What can't be brought back must be typed. */
export function DeletionDialog({ machine, onClose, onDeleted }: Props) {
  const [typed, setTyped] = useState("");
  const [keepDisks, setKeepDisks] = useState(false);
  const loaded = useLoad(
    machine.id,
    async (signal) => (await call("planDeletion", { params: { id: machine.id }, signal })).plan,
  );
  const plan = loaded.value;
  const others = plan?.machines.filter((one) => one.id !== machine.id) ?? [];
  const remove = useAction(async () => {
    const { job } = await call("deleteMachine", {
      params: { id: machine.id },
      query: {
        ...(keepDisks ? { keepDisks: "true" as const } : {}),
        ...(others.length > 0 ? { cascade: "true" as const } : {}),
      },
    });
    followJob(
      job,
      others.length > 0
        ? `${machine.name} and ${plural(others.length, "machine")} deleted`
        : `${machine.name} deleted`,
    );
    onClose();
    onDeleted?.();
  });
  const mustType = machine.role !== "vdi" || (plan?.dataDisks.length ?? 0) > 0;
  const blocked = !plan || plan.obstacles.length > 0;
  return (
    <FormDialog
      title={`Delete ${machine.name}?`}
      submitText={others.length > 0 ? `Delete ${plural(others.length + 1, "machine")}` : "Delete"}
      variant="medium"
      danger
      action={remove}
      onSubmit={() => void remove.run()}
      onClose={onClose}
      canSubmit={!blocked && (!mustType || typed.trim() === machine.name)}
    >
      {loaded.error
        ? (
          <InlineProblem
            title="What goes with it could not be found out"
            error={loaded.error}
            onRetry={loaded.reload}
          />
        )
        : null}
      {!plan && !loaded.error && <Skeleton height="6rem" screenreaderText="Loading what goes with it" />}
      {plan && <PlanWords machine={machine} plan={plan} keepDisks={keepDisks} />}
      {plan && !blocked && machine.role !== "vdi" && (
        <Checkbox
          id="keep-disks"
          label="Keep the disk files on the hypervisor"
          isChecked={keepDisks}
          onChange={(_, on) => setKeepDisks(on)}
        />
      )}
      {plan && !blocked && mustType && (
        <TextField
          id="delete-typed"
          label={`Type "${machine.name}" to confirm`}
          value={typed}
          onChange={setTyped}
        />
      )}
    </FormDialog>
  );
}

const shown = 8;

function PlanWords({ machine, plan, keepDisks }: { machine: Machine; plan: Plan; keepDisks: boolean }) {
  const others = plan.machines.filter((one) => one.id !== machine.id);
  const bytes = plan.files.reduce((sum, file) => sum + file.allocatedBytes, 0);
  const hosts = [...new Set(plan.files.map((file) => file.hypervisorName))];
  return (
    <>
      {plan.obstacles.length > 0 && (
        <Alert isInline variant="danger" component="p" title={`${machine.name} can't be deleted now`}>
          <Names label="Obstacles" names={plan.obstacles} />
        </Alert>
      )}
      <Content component="p">
        {others.length > 0
          ? `The machine goes for good, and with it ${plural(others.length, "machine")} made from it:`
          : "The machine goes for good."}
      </Content>
      {others.length > 0 && <Names label="Machines that go with it" names={others.map((one) => one.name)} />}
      {plan.files.length > 0 && (
        <Content component="p">
          {keepDisks
            ? `${plural(plan.files.length, "file")} stay on ${hosts.join(", ")}.`
            : `${plural(plan.files.length, "file")} with ${formatBytes(bytes)} on ${hosts.join(", ")} ${
              plan.files.length === 1 ? "is" : "are"
            } deleted.`}
        </Content>
      )}
      {plan.dataDisks.length > 0 && (
        <Alert
          isInline
          variant="danger"
          component="p"
          title={`${plural(plan.dataDisks.length, "personal data disk")} with the work on ${
            plan.dataDisks.length === 1 ? "it" : "them"
          } will be lost`}
        >
          <Names label="Owners of data disks" names={plan.dataDisks.map((disk) => disk.ownerName)} />
        </Alert>
      )}
    </>
  );
}

function Names({ names, label }: { names: string[]; label: string }) {
  return (
    <List isPlain aria-label={label}>
      {names.slice(0, shown).map((name) => <ListItem key={name}>{name}</ListItem>)}
      {names.length > shown && (
        <ListItem key="more">and {(names.length - shown).toLocaleString("en")} more</ListItem>
      )}
    </List>
  );
}
