import {
  ActionGroup,
  Alert,
  Button,
  Card,
  CardBody,
  CardTitle,
  Form,
  Grid,
  GridItem,
  PageSection,
} from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import { call, fieldErrors } from "../../api.ts";
import { PageHead } from "../../components/page_head.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { location, navigate } from "../../router.ts";
import { useAction } from "../../stores/action.ts";
import { followJob } from "../../stores/follow.ts";
import { useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";
import { hypervisors } from "../../stores/places.ts";
import { plural } from "../../format.ts";
import { fromParent, hasOwnDisk, type NewMachine, newMachine, problemsOf, requestOf } from "./new_machine.ts";
import { FlagFields, HardwareFields, NameFields, OriginFields, RoleField } from "./new_machine_fields.tsx";
import { PlacesField } from "./new_machine_places.tsx";
import { NewMachineReview } from "./new_machine_review.tsx";

/** Creates machines of any role. One page: what is not needed for the role is not shown. */
export function NewMachinePage() {
  const [form, setForm] = useState<NewMachine>(() => newMachine(location.peek().query));
  const [tried, setTried] = useState(false);
  const set = (patch: Partial<NewMachine>) => setForm((old) => ({ ...old, ...patch }));
  const parents = useParents(form, set);
  useDefaultPlace(form, set);
  const create = useAction(async () => {
    const { job, machines } = await call("createMachines", { body: requestOf(form) });
    const what = machines.length > 1 ? plural(machines.length, "machine") : form.name.trim();
    followJob(job, `${what} created`);
    const first = machines[0];
    if (machines.length > 1 || !first) navigate(`/machines?sourceId=${form.sourceId}&watch=${job.id}`);
    else navigate(`/machines/${first.id}`);
  });
  const problems = problemsOf(form);
  const errors = { ...(tried ? problems : {}), ...fieldErrors(create.error) };
  const submit = () => {
    setTried(true);
    if (Object.keys(problems).length > 0) return focusFirstProblem();
    void create.run();
  };
  const parts = { form, set, errors, parents };
  return (
    <>
      <PageHead title="Create machine" trail={[{ href: "/machines", text: "Machines" }]} />
      <PageSection isFilled>
        <Grid hasGutter>
          <GridItem lg={8}>
            <Form
              noValidate
              onSubmit={(event) => {
                event.preventDefault();
                submit();
              }}
            >
              <RoleField {...parts} />
              <MissingParent {...parts} />
              <OriginFields {...parts} />
              {form.role === "vdi" && hypervisors.value.length > 1 && <PlacesField {...parts} />}
              <NameFields {...parts} />
              {!(hasOwnDisk(form.role) && form.disk === "domain") && <HardwareFields {...parts} />}
              <FlagFields {...parts} />
              {create.error
                ? <InlineProblem title="The machine was not created" error={create.error} />
                : null}
              <ActionGroup>
                <Button type="submit" isLoading={create.busy} isDisabled={create.busy}>
                  {submitText(form)}
                </Button>
                <Button variant="link" component="a" href="/machines">Cancel</Button>
              </ActionGroup>
            </Form>
          </GridItem>
          <GridItem lg={4}>
            <Card className="kv-review">
              <CardTitle component="h2">What will be made</CardTitle>
              <CardBody>
                <NewMachineReview form={form} parent={parents.find((one) => one.id === form.sourceId)} />
              </CardBody>
            </Card>
          </GridItem>
        </Grid>
      </PageSection>
    </>
  );
}

function submitText({ role, count }: NewMachine): string {
  if (role === "vdi") return Number(count) > 1 ? `Create ${count} desktops` : "Create desktop";
  return role === "initial" ? "Create initial" : role === "source" ? "Create source" : "Create machine";
}

/** After a refused submit the first field that is wrong gets the focus. */
function focusFirstProblem(): void {
  requestAnimationFrame(() => document.querySelector<HTMLElement>("form [aria-invalid=true]")?.focus());
}

/** Sources for an initial, initials for a vdi. The only one is chosen by itself; its hardware becomes the default. */
function useParents(form: NewMachine, set: (patch: Partial<NewMachine>) => void) {
  const role = form.role === "initial" ? "source" : form.role === "vdi" ? "initial" : null;
  const loaded = useLoad(`parents ${role}`, async () => role ? await allMachines({ role }) : []);
  const parents = (loaded.value ?? []).filter((one) => one.role === role);
  useEffect(() => {
    if (role && parents.length === 1 && !form.sourceId) set({ sourceId: parents[0]!.id });
  }, [role, parents.length]);
  useEffect(() => {
    const parent = parents.find((one) => one.id === form.sourceId);
    if (parent) set(fromParent(parent, form.role));
  }, [form.sourceId, form.role, parents.length]);
  return parents;
}

/** The only hypervisor is chosen by itself, and its default network with it. */
function useDefaultPlace(form: NewMachine, set: (patch: Partial<NewMachine>) => void): void {
  const usable = hypervisors.value;
  useEffect(() => {
    if (!form.hypervisorId && usable[0]) set({ hypervisorId: usable[0].id });
  }, [usable.length, form.hypervisorId]);
  const chosen = usable.find((one) => one.id === form.hypervisorId);
  useEffect(() => {
    if (chosen && !form.network) {
      set({
        network: chosen.defaultNetwork ?? chosen.facts?.networks.find((one) => one.active)?.name ?? "none",
      });
    }
  }, [chosen?.id]);
}

function MissingParent({ form, parents }: { form: NewMachine; parents: { id: string }[] }) {
  if (hasOwnDisk(form.role) || parents.length > 0) return null;
  const wanted = form.role === "initial" ? "source" : "initial";
  return (
    <Alert variant="info" isInline title={`There is no ${wanted} yet`}>
      {wanted === "source"
        ? "An initial is copied from a source. "
        : "Desktops are linked clones of an initial. "}
      <Button variant="link" isInline onClick={() => navigate(`/machines/new?role=${wanted}`)}>
        Create a {wanted} first
      </Button>
    </Alert>
  );
}
