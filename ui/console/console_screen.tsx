import { Button, Spinner } from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import type { ReactNode } from "react";
import type { Desktop } from "../../contracts/desktop.ts";
import { ConsoleBar } from "./console_bar.tsx";
import { ConsoleCard } from "./console_card.tsx";
import { ConsoleNotice } from "./console_notice.tsx";
import type { ConsoleState } from "./console_session.ts";
import { startHeartbeats } from "./heartbeats.ts";
import type { ConsoleKind } from "./native_viewer.ts";
import { type Console, useConsole } from "./use_console.ts";
import { finalWords } from "./words.ts";

interface Props {
  kind: ConsoleKind;
  id: string;
  title: string;
  ready: boolean;
  /** Shown while there is no screen to connect to. */
  notReady: ReactNode;
  /** Shown, if there is any, once it is over for good. */
  over?: ReactNode;
  powerItems?: ReactNode;
  /** That the session is going to be ended. */
  notice?: Desktop["notice"];
  onLeave: () => void;
}

/** The guest's screen with the window to itself; over it a bar that slides in, and words when there is no picture. */
export function ConsoleScreen(props: Props) {
  const { title, over = null } = props;
  const [barOpen, setBarOpen] = useState(false);
  const screen = useConsole({ ...props, ready: props.ready && !over, onMenu: () => setBarOpen(true) });
  const { state } = screen;
  useEffect(() => {
    document.title = title;
  }, [title]);
  const connected = state.kind === "connected" && !over;
  // A page that was taken over or left must not hold the desktop for ever.
  const inUse = props.kind === "desktop" && !over && state.kind !== "ended";
  useEffect(() => inUse ? startHeartbeats(props.id) : undefined, [inUse, props.id]);
  return (
    <main className="kv-console" data-state={over ? "over" : state.kind}>
      <div
        ref={screen.element}
        className="kv-display"
        data-dimmed={!connected}
        tabIndex={connected ? 0 : -1}
        role="application"
        aria-label={`Screen of ${title}. Keys go to it. Control, Alt and Shift together open the menu.`}
      />
      {over ?? <Words {...props} screen={screen} />}
      {props.notice && !over && <ConsoleNotice key={props.notice.endsAt} notice={props.notice} />}
      <ConsoleBar {...props} screen={screen} open={barOpen} onOpen={setBarOpen} />
      {screen.pointerLocked && <p className="kv-console-hint">Press Escape to free the pointer</p>}
    </main>
  );
}

function Words({ screen, title, notReady, onLeave }: Props & { screen: Console }): ReactNode {
  const { state } = screen;
  if (state.kind === "connected") return null;
  if (state.kind === "idle") return notReady;
  if (state.kind === "ended") return <Ended state={state} screen={screen} title={title} onLeave={onLeave} />;
  if (screen.hasPicture) return <Again problem={state.problem} onNow={screen.reconnect} />;
  return (
    <ConsoleCard
      title={`Connecting to ${title}`}
      text={
        <div className="kv-console-line">
          <Spinner size="md" aria-label="Connecting" />
          <span>{state.problem ? `${state.problem} Trying again…` : "Opening the screen…"}</span>
        </div>
      }
    >
      <Button variant="link" onClick={onLeave}>Back</Button>
    </ConsoleCard>
  );
}

/** Over the dimmed last picture, while the page connects again by itself. */
function Again({ problem, onNow }: { problem: string | null; onNow: () => void }) {
  return (
    <div className="kv-console-over">
      <p className="kv-console-again" role="status">
        <Spinner size="md" aria-label="Connecting" />
        <span>{problem} Connecting again…</span>
        <Button variant="secondary" size="sm" onClick={onNow}>Try now</Button>
      </p>
    </div>
  );
}

interface EndedProps {
  state: Extract<ConsoleState, { kind: "ended" }>;
  screen: Console;
  title: string;
  onLeave: () => void;
}

function Ended({ state: { reason, message }, screen, title, onLeave }: EndedProps) {
  const known = reason === "left" || reason === "error" ? undefined : finalWords[reason];
  const words = reason === "left" ? "You disconnected" : `${title} can't be shown`;
  return (
    <ConsoleCard title={known?.title ?? words} text={known?.text ?? message}>
      <Button onClick={screen.reconnect}>
        {known?.again ?? (reason === "left" ? "Connect again" : "Try again")}
      </Button>
      <Button variant="link" onClick={onLeave}>Back</Button>
    </ConsoleCard>
  );
}
