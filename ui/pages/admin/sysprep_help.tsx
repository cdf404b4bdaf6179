import { ExpandableSection, List, ListItem } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { OsType } from "../../../contracts/machine.ts";

/** What to clean on an initial before its desktops are made: one system's identity must not become everybody's. */
export function SysprepHelp({ osType }: { osType: OsType }) {
  const [open, setOpen] = useState(false);
  return (
    <ExpandableSection
      toggleText={`What to prepare on ${osType === "windows" ? "Windows" : "Linux"}`}
      isExpanded={open}
      onToggle={(_, expanded) => setOpen(expanded)}
    >
      {osType === "windows" ? <WindowsHints /> : <LinuxHints />}
    </ExpandableSection>
  );
}

const LinuxHints = () => (
  <List className="kv-hints">
    <ListItem>
      Guest tools: <code>qemu-guest-agent</code> and <code>spice-vdagent</code> are installed.
    </ListItem>
    <ListItem>
      An identity for each desktop: <code>truncate -s 0 /etc/machine-id</code>{" "}
      makes systemd write a new one at the next start.
    </ListItem>
    <ListItem>
      SSH host keys: <code>rm /etc/ssh/ssh_host_*</code>, and let <code>ssh-keygen -A</code>{" "}
      run at start. Otherwise all desktops have the same keys.
    </ListItem>
    <ListItem>
      Leases and seeds: <code>rm -f /var/lib/dhcp/* /var/lib/systemd/random-seed</code>; with cloud-init{" "}
      <code>cloud-init clean</code>.
    </ListItem>
    <ListItem>
      Leftovers: package caches, logs, shell histories, accounts of whoever prepared it. Then{" "}
      <code>fstrim -av</code> keeps the image small.
    </ListItem>
    <ListItem>Shut the initial down from within; then seal the version.</ListItem>
  </List>
);

const WindowsHints = () => (
  <List className="kv-hints">
    <ListItem>
      Guest tools: the virtio drivers, the SPICE guest tools and the QEMU guest agent are installed.
    </ListItem>
    <ListItem>
      No fast startup: <code>powercfg /h off</code>{" "}
      in an elevated prompt; a hibernated disk can't be the base of others.
    </ListItem>
    <ListItem>
      Updates are finished, the disk is cleaned up with <code>cleanmgr</code>, the recycle bin is empty.
    </ListItem>
    <ListItem>
      An identity for each desktop:{" "}
      <code>C:\Windows\System32\Sysprep\sysprep.exe /generalize /oobe /shutdown</code>, with{" "}
      <code>/unattend:unattend.xml</code> where computer name and domain are set without questions.
    </ListItem>
    <ListItem>
      Sysprep goes on the initial, not on the source: it can be run only so often on one installation, and the
      source stays as it is.
    </ListItem>
    <ListItem>It shuts the initial down at its end; seal the version without starting it again.</ListItem>
  </List>
);
