import type { Domain } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { assertMayStart } from "../images/chain.ts";
import { closeDisplay, listenOn } from "../libvirt/domain_xml.ts";
import { isDisplayClosed } from "../libvirt/display_state.ts";
import { dropScratch, startOnScratch } from "./scratch.ts";

export interface StartOptions {
  /** Write to a scratch overlay that is dropped at power off and at a reboot. */
  virtualSnapshot: boolean;
  signal?: AbortSignal;
}

/**
 * Starts a machine that is off, with its display closed. The caller holds the machine's lock.
 * @throws {AppError} `conflict` when it runs in another way, or its disk must not be used now.
 */
export async function startMachine(host: Host, id: string, options: StartOptions): Promise<void> {
  const domain = await requireDomain(host, id);
  if (isUp(domain)) return requireSameMode(domain, options);
  await assertMayStart(host, id, options);
  const { virtualSnapshot, signal } = options;
  const xml = await readClosedDefinition(host, id, signal);
  if (virtualSnapshot) {
    await startOnScratch(host, id, xml, signal);
  } else {
    await dropScratch(host, id);
    await host.virsh.start(id, { signal });
  }
  await host.domains.refresh(id);
}

export const isUp = ({ state }: Domain): boolean => state !== "shut-off" && state !== "crashed";

/** The domain as it is now; for what changes it, `managed` too. @throws {AppError} `not_found`, `conflict`. */
export async function requireDomain(host: Host, id: string): Promise<Domain> {
  const domain = await host.domains.refresh(id);
  if (!domain) throw new AppError("not_found", `There is no domain ${id} on this hypervisor.`);
  if (!domain.managed) {
    throw new AppError("conflict", `The domain ${domain.name} is not managed by KVM-VDI. Import it first.`);
  }
  return domain;
}

function requireSameMode(domain: Domain, { virtualSnapshot }: StartOptions): void {
  if (domain.state === "paused" || domain.state === "suspended") {
    throw new AppError("conflict", `Start ${domain.name}: it is ${domain.state}. Resume it instead.`);
  }
  if (virtualSnapshot && !domain.virtualSnapshot) {
    throw new AppError(
      "conflict",
      `Start ${domain.name} with a virtual snapshot: it runs without one already. Shut it down first.`,
    );
  }
}

/**
 * An adopted domain may be defined with an open display: it is closed for good, since later is too late. Displays listen
 * where the settings say.
 */
async function readClosedDefinition(host: Host, id: string, signal?: AbortSignal): Promise<string> {
  const xml = await host.virsh.dumpXml(id, { inactive: true, securityInfo: true, signal });
  const wanted = listenOn(isDisplayClosed(xml) ? xml : closeDisplay(xml), host.config.displayListen);
  if (wanted !== xml) await host.virsh.define(wanted, { signal });
  return wanted;
}
