import { ExpandableSection, List, ListItem } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { ReactNode } from "react";
import type { OsType } from "../../../contracts/machine.ts";

const hints: Record<OsType, ReactNode[]> = {
  linux: [
    <>
      Guest tools: <code>qemu-guest-agent</code> and <code>spice-vdagent</code> are installed.
    </>,
    <>
      An own identity for every desktop: <code>truncate -s 0 /etc/machine-id</code>{" "}
      makes systemd write a new one at the next start.
    </>,
    <>
      SSH host keys: <code>rm /etc/ssh/ssh_host_*</code>, and let <code>ssh-keygen -A</code>{" "}
      run at start. Otherwise all desktops have the same keys.
    </>,
    <>
      Leases and seeds: <code>rm -f /var/lib/dhcp/* /var/lib/systemd/random-seed</code>; with cloud-init{" "}
      <code>cloud-init clean</code>.
    </>,
    <>
      Leftovers: package caches, logs, shell histories and the accounts of whoever prepared it. Then{" "}
      <code>fstrim -av</code> keeps the image small.
    </>,
    "Shut the initial down from within; then seal the version.",
  ],
  windows: [
    "Guest tools: the virtio drivers, the SPICE guest tools and the QEMU guest agent are installed.",
    <>
      No fast startup: <code>powercfg /h off</code>{" "}
      in an elevated prompt; a hibernated disk can't be the base of others.
    </>,
    <>
      Windows updates are finished, the disk is cleaned up (<code>cleanmgr</code>), the recycle bin is empty.
    </>,
    <>
      An own identity for every desktop:{" "}
      <code>C:\Windows\System32\Sysprep\sysprep.exe /generalize /oobe /shutdown</code>, with{" "}
      <code>/unattend:unattend.xml</code> where computer name and domain are set without questions.
    </>,
    "Sysprep goes on the initial, not on the source: it can be run a limited number of times, and the source stays as it is.",
    "It shuts the initial down at its end; then seal the version without starting it again.",
  ],
};

/** What to clean on an initial before its desktops are made: one system's identity must not become everybody's. */
export function SysprepHelp({ osType }: { osType: OsType }) {
  const [open, setOpen] = useState(false);
  return (
    <ExpandableSection
      toggleText={`What to prepare on ${osType === "windows" ? "Windows" : "Linux"}`}
      isExpanded={open}
      onToggle={(_, expanded) => setOpen(expanded)}
    >
      <List className="kv-hints">
        {hints[osType].map((hint, index) => <ListItem key={index}>{hint}</ListItem>)}
      </List>
    </ExpandableSection>
  );
}
