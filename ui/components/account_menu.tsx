import { Divider, Dropdown, DropdownItem, DropdownList, MenuToggle } from "@patternfly/react-core";
import AdjustIcon from "@patternfly/react-icons/dist/esm/icons/adjust-icon";
import MoonIcon from "@patternfly/react-icons/dist/esm/icons/moon-icon";
import SunIcon from "@patternfly/react-icons/dist/esm/icons/sun-icon";
import UserIcon from "@patternfly/react-icons/dist/esm/icons/user-icon";
import { useState } from "preact/hooks";
import { navigate } from "../router.ts";
import { isStaff, me, signOut } from "../stores/session.ts";
import { type Theme, theme } from "../stores/theme.ts";
import { useAction } from "../stores/action.ts";
import { ChangePasswordDialog } from "./change_password_dialog.tsx";

const themes: { id: Theme; title: string }[] = [
  { id: "system", title: "As the system" },
  { id: "light", title: "Light" },
  { id: "dark", title: "Dark" },
];

/** Light, dark, or as the system is. */
export function ThemeMenu() {
  const [open, setOpen] = useState(false);
  const Icon = theme.value === "dark" ? MoonIcon : theme.value === "light" ? SunIcon : AdjustIcon;
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={(_, value) => {
        theme.value = value as Theme;
        setOpen(false);
      }}
      popperProps={{ position: "right", appendTo: "inline" }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          variant="plain"
          aria-label="Theme"
          isExpanded={open}
          onClick={() => setOpen(!open)}
          icon={<Icon />}
        />
      )}
    >
      <DropdownList>
        {themes.map(({ id, title }) => (
          <DropdownItem key={id} value={id} isSelected={theme.value === id}>{title}</DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}

/** Who is signed in, and what that person can do about it. */
export function AccountMenu() {
  const [open, setOpen] = useState(false);
  const [changing, setChanging] = useState(false);
  const leave = useAction(signOut, "Could not sign out");
  const name = me.value?.displayName || me.value?.username || "";
  return (
    <>
      <Dropdown
        isOpen={open}
        onOpenChange={setOpen}
        onSelect={() => setOpen(false)}
        popperProps={{ position: "right", appendTo: "inline" }}
        toggle={(ref) => (
          <MenuToggle
            ref={ref}
            isFullHeight
            isExpanded={open}
            onClick={() => setOpen(!open)}
            icon={<UserIcon />}
            className="kv-account"
            aria-label={`Account: ${name}`}
          >
            <span className="kv-wide-only">{name}</span>
          </MenuToggle>
        )}
      >
        <DropdownList>
          {isStaff.value && (
            <>
              <DropdownItem onClick={() => navigate("/overview")}>Admin console</DropdownItem>
              <DropdownItem onClick={() => navigate("/desktops")}>My desktops</DropdownItem>
              <Divider component="li" />
            </>
          )}
          <DropdownItem onClick={() => setChanging(true)}>Change password</DropdownItem>
          <DropdownItem onClick={() => void leave.run()} isDisabled={leave.busy}>Sign out</DropdownItem>
        </DropdownList>
      </Dropdown>
      {changing && <ChangePasswordDialog onClose={() => setChanging(false)} />}
    </>
  );
}
