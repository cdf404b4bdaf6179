import { Button } from "@patternfly/react-core";
import type { Desktop } from "../../contracts/desktop.ts";
import { call } from "../api.ts";
import { PowerItems, usePower } from "../pages/portal_menu.tsx";
import { DesktopProgress } from "../pages/portal_progress.tsx";
import { isDesktopLost } from "../pages/portal_words.ts";
import { navigate } from "../router.ts";
import { useAction } from "../stores/action.ts";
import { ConsoleCard } from "./console_card.tsx";
import { ConsoleScreen } from "./console_screen.tsx";

interface Props {
  desktop: Desktop;
  /** Why the lease ended, if it did while this page was open. */
  endReason: string | null;
  onChange: (desktop: Desktop) => void;
}

/** The user's own desktop: waits for it while it starts, shows it, and says in words why it is over. */
export function DesktopConsole({ desktop, endReason, onChange }: Props) {
  const { id, state, machine, desktopPoolName } = desktop;
  const power = usePower(desktop, onChange);
  const isOver = state === "ended" || state === "failed";
  const isLost = isDesktopLost(desktop);
  const isOff = state === "ready" && machine?.state !== "running";
  return (
    <ConsoleScreen
      kind="desktop"
      id={id}
      title={desktopPoolName}
      ready={state === "ready" && !isOff && !isLost}
      notice={desktop.notice}
      over={isOver ? <Over desktop={desktop} endReason={endReason} /> : null}
      onLeave={() => navigate("/desktops")}
      notReady={isLost
        ? <Lost desktop={desktop} onChange={onChange} />
        : isOff
        ? <SwitchedOff desktop={desktop} onChange={onChange} />
        : (
          <ConsoleCard title={`${desktopPoolName} is starting`} text={<DesktopProgress desktop={desktop} />}>
            <BackToDesktops />
          </ConsoleCard>
        )}
      powerItems={desktop.userPower && (
        <PowerItems
          isDisabled={isOff}
          onPower={(action) => void power.run(action)}
        />
      )}
    />
  );
}

const BackToDesktops = () => (
  <Button variant="link" component="a" href="/desktops">Back to my desktops</Button>
);

/** Gets the desktop again: the same machine if it is still the user's, else another. */
function useGetAgain(desktop: Desktop, onChange?: (desktop: Desktop) => void) {
  return useAction(async () => {
    const got = (await call("getDesktop", { body: { desktopPoolId: desktop.desktopPoolId } })).desktop;
    if (got.id === desktop.id) onChange?.(got);
    else navigate(`/console/desktop/${got.id}`, { replace: true });
  }, `${desktop.desktopPoolName} could not be opened`);
}

function SwitchedOff({ desktop, onChange }: Pick<Props, "desktop" | "onChange">) {
  const again = useGetAgain(desktop, onChange);
  const name = desktop.machine?.name ?? desktop.desktopPoolName;
  return (
    <ConsoleCard
      title={`${name} is switched off`}
      text="It is still yours. If it is restarting, it comes back by itself."
    >
      <Button isLoading={again.busy} isDisabled={again.busy} onClick={() => void again.run()}>
        Start it again
      </Button>
      <BackToDesktops />
    </ConsoleCard>
  );
}

/** Its hypervisor is out of reach: another desktop can be had, and this one may come back. */
function Lost({ desktop, onChange }: Pick<Props, "desktop" | "onChange">) {
  const again = useGetAgain(desktop, onChange);
  return (
    <ConsoleCard title={`${desktop.desktopPoolName} can't be reached now`} text={desktop.error?.message}>
      <Button isLoading={again.busy} isDisabled={again.busy} onClick={() => void again.run()}>
        Get another desktop
      </Button>
      <BackToDesktops />
    </ConsoleCard>
  );
}

function Over({ desktop, endReason }: Pick<Props, "desktop" | "endReason">) {
  const again = useGetAgain(desktop);
  const failed = desktop.state === "failed";
  return (
    <ConsoleCard
      title={failed
        ? `${desktop.desktopPoolName} could not be started`
        : "You gave this desktop back, or your time on it is over"}
      text={desktop.error?.message ?? endReason ?? "Your use of this desktop has ended."}
    >
      <Button isLoading={again.busy} isDisabled={again.busy} onClick={() => void again.run()}>
        {failed ? "Try again" : "Open it again"}
      </Button>
      <BackToDesktops />
    </ConsoleCard>
  );
}
