import type { Domain, EditCommand } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { requireIso } from "../images/import_checks.ts";
import { applyEdit, cdromElement } from "../libvirt/domain_xml.ts";
import { isUp, requireDomain } from "./start_machine.ts";

/**
 * Changes a machine. Everything but the ISO image needs it to be off; the ISO of a running machine changes at once.
 * @throws {AppError} `conflict` when it runs or a job holds it; `invalid` when the ISO image is not there.
 */
export async function editMachine(
  host: Host,
  id: string,
  edit: EditCommand,
  signal?: AbortSignal,
): Promise<Domain> {
  using _lock = await host.locks.hold([id], { purpose: "its definition is being changed", signal });
  const domain = await requireDomain(host, id);
  if (edit.iso) await requireIso(edit.iso);
  if (isUp(domain)) await editRunning(host, domain, edit, signal);
  else await editDefinition(host, domain, edit, signal);
  return await host.domains.refresh(id) ?? domain;
}

async function editRunning(
  host: Host,
  domain: Domain,
  edit: EditCommand,
  signal?: AbortSignal,
): Promise<void> {
  const refused = Object.entries(edit).filter(([key, value]) =>
    key !== "iso" && value !== undefined && value !== domain[key as keyof Domain]
  );
  if (refused.length > 0) {
    const what = refused.map(([key]) => key).join(", ");
    throw new AppError(
      "conflict",
      `Change ${what} of ${domain.name}: it is ${domain.state}. Shut it down first.`,
    );
  }
  if (edit.iso === undefined) return;
  const live = await host.virsh.dumpXml(domain.id, { signal });
  // One call for both would refuse a machine whose definition has another drive; the definition goes first.
  const definition = await host.virsh.dumpXml(domain.id, { inactive: true, securityInfo: true, signal });
  await host.virsh.define(applyEdit(definition, { iso: edit.iso }), { signal });
  await host.virsh.updateDevice(domain.id, cdromElement(live, edit.iso), { live: true, signal });
}

/** libvirt takes a new name only by itself; it is undone when the rest is refused. */
async function editDefinition(
  host: Host,
  domain: Domain,
  { name = domain.name, ...edit }: EditCommand,
  signal?: AbortSignal,
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  if (name !== domain.name) {
    await host.virsh.rename(domain.id, name, { signal });
    undo.defer(() => host.virsh.rename(domain.id, domain.name));
  }
  if (Object.values(edit).some((value) => value !== undefined)) {
    const xml = await host.virsh.dumpXml(domain.id, { inactive: true, securityInfo: true, signal });
    await host.virsh.define(applyEdit(xml, edit), { signal });
  }
  undo.move();
}
