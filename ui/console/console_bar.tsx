import { Button, Divider, Dropdown, DropdownItem, DropdownList, MenuToggle } from "@patternfly/react-core";
import CompressIcon from "@patternfly/react-icons/dist/esm/icons/compress-icon";
import ExpandIcon from "@patternfly/react-icons/dist/esm/icons/expand-icon";
import KeyboardIcon from "@patternfly/react-icons/dist/esm/icons/keyboard-icon";
import PowerOffIcon from "@patternfly/react-icons/dist/esm/icons/power-off-icon";
import RedoIcon from "@patternfly/react-icons/dist/esm/icons/redo-icon";
import UnlinkIcon from "@patternfly/react-icons/dist/esm/icons/unlink-icon";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ReactNode } from "react";
import type { Desktop } from "../../contracts/desktop.ts";
import { NoticeChip } from "../components/desktop_notice.tsx";
import { useAction } from "../stores/action.ts";
import { useFullScreen } from "./full_screen.ts";
import { keyCombinations } from "./key_combinations.ts";
import { type ConsoleKind, openInViewer } from "./native_viewer.ts";
import { followWindow, scale, shareClipboard } from "./preferences.ts";
import { TypeTextDialog } from "./type_text_dialog.tsx";
import type { Console } from "./use_console.ts";

interface Props {
  kind: ConsoleKind;
  id: string;
  title: string;
  screen: Console;
  powerItems?: ReactNode;
  notice?: Desktop["notice"];
  /** Held open from outside: by the keyboard shortcut. */
  open: boolean;
  onOpen: (open: boolean) => void;
}

const introductionMs = 4_000;

/** The bar at the top edge: out of the way until the pointer or the keyboard wants it. */
export function ConsoleBar({ kind, id, title, screen, powerItems, notice, open, onOpen }: Props) {
  const bar = useRef<HTMLDivElement>(null);
  const fullScreen = useFullScreen();
  const introducing = useIntroduction(screen.state.kind);
  const toViewer = useAction(() => openInViewer(kind, id, title), "The connection file could not be made");
  const connected = screen.state.kind === "connected";
  useEffect(() => {
    if (open) bar.current?.querySelector("button")?.focus();
  }, [open]);
  const backToScreen = () => {
    onOpen(false);
    screen.viewer()?.focus();
  };
  return (
    <div
      ref={bar}
      className="kv-console-bar"
      data-open={open || introducing || !connected}
      role="toolbar"
      aria-label={`Console of ${title}`}
      onKeyDown={(event) => event.key === "Escape" && connected && backToScreen()}
      onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && onOpen(false)}
    >
      <div className="kv-console-tools">
        <span className="kv-console-title">{title}</span>
        {notice && <NoticeChip notice={notice} />}
        <Latency milliseconds={screen.latencyMs} />
        {fullScreen.isPossible && (
          <Button
            variant="plain"
            size="sm"
            icon={fullScreen.active ? <CompressIcon /> : <ExpandIcon />}
            aria-label={fullScreen.active ? "Leave full screen" : "Full screen"}
            title={fullScreen.active ? "Leave full screen" : "Full screen"}
            onClick={() => {
              fullScreen.toggle();
              backToScreen();
            }}
          />
        )}
        <KeysMenu screen={screen} disabled={!connected} onDone={backToScreen} />
        <ViewMenu onViewer={() => void toViewer.run()} onDone={backToScreen} />
        {powerItems && <BarMenu label="Power" icon={<PowerOffIcon />} disabled={false}>{powerItems}</BarMenu>}
        <Button
          variant="plain"
          size="sm"
          icon={<RedoIcon />}
          aria-label="Reconnect"
          title="Reconnect"
          onClick={screen.reconnect}
        />
        <Button
          variant="plain"
          size="sm"
          icon={<UnlinkIcon />}
          aria-label="Disconnect"
          title="Disconnect"
          isDisabled={!connected}
          onClick={screen.leave}
        />
      </div>
      <button
        type="button"
        className="kv-console-handle"
        aria-label="Show the console's menu"
        onClick={() => onOpen(!open)}
      />
    </div>
  );
}

/** True for a moment after the screen appears, so that everybody sees once where the bar lives. */
function useIntroduction(kind: string): boolean {
  const [introducing, setIntroducing] = useState(false);
  useEffect(() => {
    if (kind !== "connected") return;
    setIntroducing(true);
    const timer = setTimeout(() => setIntroducing(false), introductionMs);
    return () => clearTimeout(timer);
  }, [kind]);
  return introducing;
}

function Latency({ milliseconds }: { milliseconds: number | null }) {
  if (milliseconds === null) return null;
  return <span className="kv-console-latency" title="To the dashboard and back">{milliseconds} ms</span>;
}

/** Where the bar's menus are put: within the page's landmark, but outside of the bar, which is moved by a transform. */
const consolePage = () => document.querySelector<HTMLElement>(".kv-console") ?? document.body;

interface BarMenuProps {
  label: string;
  icon?: ReactNode;
  disabled: boolean;
  children: ReactNode;
}

function BarMenu({ label, icon, disabled, children }: BarMenuProps) {
  const [open, setOpen] = useState(false);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      isScrollable
      maxMenuHeight="70vh"
      popperProps={{ appendTo: consolePage, preventOverflow: true }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          variant="plainText"
          isExpanded={open}
          isDisabled={disabled}
          onClick={() => setOpen(!open)}
          icon={icon}
        >
          {label}
        </MenuToggle>
      )}
    >
      <DropdownList>{children}</DropdownList>
    </Dropdown>
  );
}

function KeysMenu({ screen, disabled, onDone }: { screen: Console; disabled: boolean; onDone: () => void }) {
  const [typing, setTyping] = useState(false);
  const press = (codes: readonly string[]) => {
    screen.viewer()?.pressKeys(codes);
    onDone();
  };
  return (
    <>
      <BarMenu label="Keys" icon={<KeyboardIcon />} disabled={disabled}>
        {keyCombinations.map(({ title, codes }) => (
          <DropdownItem key={title} onClick={() => press(codes)}>{title}</DropdownItem>
        ))}
        <Divider component="li" />
        <DropdownItem onClick={() => setTyping(true)}>Type text…</DropdownItem>
      </BarMenu>
      {typing && (
        <TypeTextDialog
          onType={(text) => screen.viewer()?.typeText(text) ?? Promise.resolve(text)}
          onClose={() => {
            setTyping(false);
            onDone();
          }}
        />
      )}
    </>
  );
}

interface ViewMenuProps {
  onViewer: () => void;
  onDone: () => void;
}

function ViewMenu({ onViewer, onDone }: ViewMenuProps) {
  const isFit = scale.value === "fit";
  return (
    <BarMenu label="View" disabled={false}>
      <DropdownItem isSelected={isFit} onClick={() => (scale.value = "fit", onDone())}>
        Fit to the window
      </DropdownItem>
      <DropdownItem isSelected={!isFit} onClick={() => (scale.value = "actual", onDone())}>
        Actual size
      </DropdownItem>
      <Divider component="li" />
      <DropdownItem
        isSelected={followWindow.value}
        description="Needs the SPICE agent in the guest"
        onClick={() => (followWindow.value = !followWindow.value, onDone())}
      >
        Resolution follows the window
      </DropdownItem>
      <DropdownItem
        isSelected={shareClipboard.value}
        description="Needs the SPICE agent in the guest"
        onClick={() => (shareClipboard.value = !shareClipboard.value, onDone())}
      >
        Share the clipboard
      </DropdownItem>
      <Divider component="li" />
      <DropdownItem description="A connection file for virt-viewer" onClick={onViewer}>
        Open in viewer
      </DropdownItem>
    </BarMenu>
  );
}
