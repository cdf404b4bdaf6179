import { Divider, Dropdown, DropdownItem, DropdownList, MenuToggle } from "@patternfly/react-core";
import EllipsisVIcon from "@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon";
import { useState } from "preact/hooks";
import type { Desktop } from "../../contracts/desktop.ts";
import type { MyDesktopPool } from "../../contracts/desktop_pool.ts";
import { call } from "../api.ts";
import { useAction } from "../stores/action.ts";
import { confirm } from "../stores/confirm.ts";
import { toast } from "../stores/toasts.ts";
import { type Opener, opener } from "./portal_choice.ts";
import { powerQuestion, type UserPower } from "./portal_words.ts";

interface Props {
  pool: MyDesktopPool;
  desktop: Desktop | null;
  canOpen: boolean;
  onOpen: (how: Opener) => unknown;
  onChange: (desktop: Desktop) => void;
}

/** What else can be done with a desktop: open it the other way, power, give it back. */
export function PortalMenu({ pool, desktop, canOpen, onOpen, onChange }: Props) {
  const [open, setOpen] = useState(false);
  const power = usePower(desktop, onChange);
  const giveBack = useAction(() => askAndGiveBack(desktop), "Could not give the desktop back");
  const running = desktop?.state === "ready" && desktop.machine?.state === "running";
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: "right" }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          variant="plain"
          aria-label={`More about ${pool.name}`}
          isExpanded={open}
          onClick={() => setOpen(!open)}
          icon={<EllipsisVIcon />}
        />
      )}
    >
      <DropdownList>
        <OpenItem how="browser" title="Open in this window" isDisabled={!canOpen} onOpen={onOpen} />
        <OpenItem how="viewer" title="Open in the native viewer" isDisabled={!canOpen} onOpen={onOpen} />
        {desktop && (
          <>
            <Divider component="li" />
            {desktop.userPower && (
              <PowerItems
                isDisabled={!running}
                onPower={(action) => void power.run(action)}
              />
            )}
            <DropdownItem onClick={() => void giveBack.run()} description="You do not need it any more">
              Give back
            </DropdownItem>
          </>
        )}
      </DropdownList>
    </Dropdown>
  );
}

interface OpenItemProps {
  how: Opener;
  title: string;
  isDisabled: boolean;
  onOpen: (how: Opener) => unknown;
}

function OpenItem({ how, title, isDisabled, onOpen }: OpenItemProps) {
  return (
    <DropdownItem
      isDisabled={isDisabled}
      isSelected={opener.value === how}
      description={how === "viewer" ? "Needs virt-viewer on this computer" : undefined}
      onClick={() => void onOpen(how)}
    >
      {title}
    </DropdownItem>
  );
}

/** The three ways of switching a desktop off or on again. */
export function PowerItems(
  { isDisabled, onPower }: { isDisabled: boolean; onPower: (action: UserPower) => void },
) {
  return (
    <>
      <DropdownItem isDisabled={isDisabled} onClick={() => onPower("reboot")}>Restart…</DropdownItem>
      <DropdownItem isDisabled={isDisabled} onClick={() => onPower("shutdown")}>Shut down…</DropdownItem>
      <DropdownItem isDisabled={isDisabled} isDanger onClick={() => onPower("destroy")}>
        Switch off by force…
      </DropdownItem>
    </>
  );
}

/** Power actions on the own desktop; asks first. */
export function usePower(desktop: Desktop | null, onChange: (desktop: Desktop) => void) {
  return useAction(async (action: UserPower) => {
    if (!desktop || !await confirm(powerQuestion(action, desktop))) return;
    const changed = await call("powerMyDesktop", { params: { id: desktop.id }, body: { action } });
    onChange(changed.desktop);
    if (action === "shutdown") toast({ variant: "info", title: "The desktop was asked to shut down" });
  }, "The desktop did not do that");
}

async function askAndGiveBack(desktop: Desktop | null): Promise<void> {
  if (!desktop) return;
  const agreed = await confirm({
    title: `Give ${desktop.desktopPoolName} back?`,
    body: desktop.volatile
      ? "Everything saved on this desktop will be gone. Next time you get a fresh one."
      : "Somebody else may get this machine. Programs that are still open may be closed.",
    confirmText: "Give back",
    danger: desktop.volatile,
  });
  if (agreed) await call("endMyDesktop", { params: { id: desktop.id } });
}
