import {
  Button,
  Content,
  EmptyState,
  EmptyStateBody,
  Page,
  PageSection,
  Title,
} from "@patternfly/react-core";
import DesktopIcon from "@patternfly/react-icons/dist/esm/icons/desktop-icon";
import { useState } from "preact/hooks";
import type { Desktop } from "../../contracts/desktop.ts";
import type { MyDesktopPool } from "../../contracts/desktop_pool.ts";
import { call } from "../api.ts";
import { AppMasthead } from "../components/app_masthead.tsx";
import { Waiting } from "../components/lazy.tsx";
import { InlineProblem } from "../components/problem.tsx";
import { ConnectionLost } from "../components/shell.tsx";
import { useEvents, useLoad } from "../stores/load.ts";
import { PortalCard } from "./portal_card.tsx";

interface Mine {
  pools: MyDesktopPool[];
  desktops: Desktop[];
}

async function loadMine(signal: AbortSignal): Promise<Mine> {
  const [pools, desktops] = await Promise.all([
    call("listMyDesktopPools", { signal }),
    call("listMyDesktops", { signal }),
  ]);
  return { pools: pools.items, desktops: desktops.items };
}

const isHeld = ({ state }: Desktop) => state === "preparing" || state === "ready";
const withDesktop = (desktops: Desktop[], changed: Desktop) => [
  ...desktops.filter(({ id }) => id !== changed.id),
  ...(isHeld(changed) ? [changed] : []),
];

/** What a user came for: every desktop that can be had, as a card that opens it. */
export function PortalPage() {
  const mine = useLoad("my-desktops", loadMine);
  /** Why the last desktop of a pool came to nothing, by pool. */
  const [failures, setFailures] = useState<Record<string, string>>({});
  const note = (poolId: string, message: string) => setFailures((old) => ({ ...old, [poolId]: message }));

  function adopt(desktop: Desktop) {
    mine.change((old) => ({ ...old, desktops: withDesktop(old.desktops, desktop) }));
    if (desktop.state === "failed") {
      note(desktop.desktopPoolId, desktop.error?.message ?? "It did not start.");
    }
  }

  useEvents((event) => {
    if (event.type === "desktop") adopt(event.desktop);
    else if (event.type === "desktop-ended") {
      mine.change((old) => ({ ...old, desktops: old.desktops.filter(({ id }) => id !== event.id) }));
    } else if (event.type !== "my-desktop-pools") return;
    mine.reloadSoon();
  });

  return (
    <Page
      masthead={<AppMasthead />}
      isContentFilled
      mainContainerId="main"
      mainTabIndex={-1}
      className="kv-portal"
    >
      <ConnectionLost />
      <PageSection isWidthLimited isFilled aria-label="My desktops">
        <Title headingLevel="h1" size="2xl" className="kv-portal-title">My desktops</Title>
        {mine.error
          ? (
            <InlineProblem
              title="Your desktops could not be loaded"
              error={mine.error}
              onRetry={mine.reload}
            />
          )
          : null}
        {mine.value
          ? <Cards mine={mine.value} failures={failures} onChange={adopt} onFailure={note} />
          : !mine.error && <Waiting />}
      </PageSection>
    </Page>
  );
}

interface CardsProps {
  mine: Mine;
  failures: Record<string, string>;
  onChange: (desktop: Desktop) => void;
  onFailure: (poolId: string, message: string) => void;
}

function Cards({ mine: { pools, desktops }, failures, onChange, onFailure }: CardsProps) {
  if (pools.length === 0) return <NothingYet />;
  return (
    <ul className="kv-portal-cards" aria-label="Desktops">
      {pools.map((pool) => (
        <li key={pool.id}>
          <PortalCard
            pool={pool}
            desktop={desktops.find(({ desktopPoolId }) => desktopPoolId === pool.id) ?? null}
            failure={failures[pool.id] || null}
            onChange={onChange}
            onFailure={(message) => onFailure(pool.id, message)}
          />
        </li>
      ))}
    </ul>
  );
}

function NothingYet() {
  return (
    <EmptyState headingLevel="h2" icon={DesktopIcon} titleText="No desktop is yours to use yet">
      <EmptyStateBody>
        <Content component="p">
          An administrator decides who may use which desktops. Ask for one; it appears here by itself.
        </Content>
        <Button variant="link" onClick={() => globalThis.location.reload()}>Look again</Button>
      </EmptyStateBody>
    </EmptyState>
  );
}
