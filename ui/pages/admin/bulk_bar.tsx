import {
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  MenuToggle,
  OverflowMenu,
  OverflowMenuContent,
  OverflowMenuItem,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { BulkAction, Machine } from "../../../contracts/machine.ts";
import { menuHome } from "../../components/overlay.ts";
import { plural } from "../../format.ts";
import { bulkMachines, bulkTexts } from "../../stores/machine_actions.ts";
import { useAction } from "../../stores/action.ts";

const buttons: BulkAction[] = ["start", "shutdown"];
const others: BulkAction[] = [
  "reboot",
  "destroy",
  "maintenance-on",
  "maintenance-off",
  "virtual-snapshot-on",
  "virtual-snapshot-off",
  "populate",
  "delete",
];

interface Props {
  machines: Machine[];
  onClear: () => void;
  /** All rows that match the filters, when more than the selected ones do. */
  matching?: { count: number; select: () => Promise<void> } | undefined;
}

/** What to do with the selected machines; appears with the first one. */
export function BulkBar({ machines, onClear, matching }: Props) {
  const act = useAction(async (action: BulkAction) => {
    if (await bulkMachines(machines, action) && action === "delete") onClear();
  });
  const selectAll = useAction(async () => await matching?.select(), "Could not select all machines");
  return (
    <div className="kv-bulk" role="region" aria-label="Selected machines">
      <strong>{plural(machines.length, "machine")} selected</strong>
      {matching && (
        <Button
          variant="link"
          isInline
          isLoading={selectAll.busy}
          onClick={() => void selectAll.run()}
        >
          Select all {matching.count.toLocaleString("en")} that match
        </Button>
      )}
      <Button variant="link" isInline onClick={onClear}>Clear</Button>
      <OverflowMenu breakpoint="md">
        <OverflowMenuContent isPersistent>
          {buttons.map((action) => (
            <OverflowMenuItem key={action} isPersistent>
              <Button
                variant="secondary"
                size="sm"
                isDisabled={act.busy}
                onClick={() => void act.run(action)}
              >
                {bulkTexts[action]}
              </Button>
            </OverflowMenuItem>
          ))}
        </OverflowMenuContent>
      </OverflowMenu>
      <ActionMenu title="More" actions={others} busy={act.busy} onAction={(action) => void act.run(action)} />
    </div>
  );
}

interface MenuProps {
  title: string;
  actions: BulkAction[];
  busy: boolean;
  label?: string;
  onAction: (action: BulkAction) => void;
}

/** A drop-down of mass actions. */
export function ActionMenu({ title, actions, busy, label, onAction }: MenuProps) {
  const [open, setOpen] = useState(false);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: "right", appendTo: menuHome }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          size="sm"
          isExpanded={open}
          isDisabled={busy}
          onClick={() => setOpen(!open)}
          aria-label={label ?? title}
        >
          {title}
        </MenuToggle>
      )}
    >
      <DropdownList>
        {actions.map((action) => (
          <DropdownItem
            key={action}
            isDanger={action === "delete"}
            onClick={() => onAction(action)}
          >
            {bulkTexts[action]}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}
