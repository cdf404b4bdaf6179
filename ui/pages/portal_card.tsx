import {
  Alert,
  Button,
  Card,
  CardBody,
  CardFooter,
  CardHeader,
  CardTitle,
  Label,
} from "@patternfly/react-core";
import DesktopIcon from "@patternfly/react-icons/dist/esm/icons/desktop-icon";
import { useEffect, useState } from "preact/hooks";
import type { Desktop } from "../../contracts/desktop.ts";
import type { MyDesktopPool } from "../../contracts/desktop_pool.ts";
import { call, messageOf } from "../api.ts";
import { DesktopNotice } from "../components/desktop_notice.tsx";
import { openInViewer } from "../console/native_viewer.ts";
import { navigate } from "../router.ts";
import { useAction } from "../stores/action.ts";
import { type Opener, opener, setOpener } from "./portal_choice.ts";
import { PortalMenu } from "./portal_menu.tsx";
import { DesktopProgress } from "./portal_progress.tsx";
import { cardWords, isDesktopLost } from "./portal_words.ts";

interface Props {
  pool: MyDesktopPool;
  desktop: Desktop | null;
  failure: string | null;
  onChange: (desktop: Desktop) => void;
  onFailure: (message: string) => void;
}

/** One desktop pool: what it is, how it stands, and one button that opens it. */
export function PortalCard({ pool, desktop, failure, onChange, onFailure }: Props) {
  const { tone, state, detail } = cardWords(pool, desktop);
  const { open, awaitsViewer } = useOpen({ pool, desktop, onChange, onFailure });
  const canOpen = desktop !== null || pool.availability === "ready" || pool.availability === "yours";
  const isOff = desktop?.state === "ready" && desktop.machine?.state !== "running";
  const openText = desktop && isDesktopLost(desktop) ? "Get another" : isOff ? "Start and open" : "Open";
  const titleId = `pool-${pool.id}`;
  return (
    <Card isLarge isFullHeight className="kv-portal-card" component="article" aria-labelledby={titleId}>
      <CardHeader
        actions={{
          actions: (
            <PortalMenu
              pool={pool}
              desktop={desktop}
              canOpen={canOpen}
              onOpen={open.run}
              onChange={onChange}
            />
          ),
          hasNoOffset: true,
        }}
      >
        <CardTitle component="h2" id={titleId}>
          <span className="kv-portal-picture" aria-hidden="true">
            <DesktopIcon />
          </span>
          {pool.name}
        </CardTitle>
      </CardHeader>
      <CardBody>
        {pool.description && <p className="kv-portal-description">{pool.description}</p>}
        <p className="kv-portal-state" aria-live="polite">
          <Label color={tone}>{state}</Label> <span>{detail}</span>
        </p>
        {desktop?.notice && <DesktopNotice notice={desktop.notice} />}
        {desktop?.state === "preparing" && !isDesktopLost(desktop) && (
          <DesktopProgress desktop={desktop} compact />
        )}
        {awaitsViewer && <p>The viewer opens as soon as the desktop is ready.</p>}
        {failure && (
          <Alert variant="danger" isInline title={`${pool.name} could not be opened`}>{failure}</Alert>
        )}
      </CardBody>
      <CardFooter>
        <Button
          size="lg"
          isBlock
          isLoading={open.busy}
          isDisabled={!canOpen || open.busy || awaitsViewer}
          aria-label={`${openText} ${pool.name}`}
          onClick={() => void open.run(opener.value)}
        >
          {openText}
          {opener.value === "viewer" && " in the viewer"}
        </Button>
      </CardFooter>
    </Card>
  );
}

/** Gets the desktop, then shows it: the console page waits for it by itself, the native viewer has to be waited for here. */
function useOpen({ pool, desktop, onChange, onFailure }: Omit<Props, "failure">) {
  const [awaitsViewer, setAwaitsViewer] = useState(false);
  const open = useAction(async (how: Opener) => {
    setOpener(how);
    onFailure("");
    try {
      const got = (await call("getDesktop", { body: { desktopPoolId: pool.id } })).desktop;
      onChange(got);
      if (how === "browser") navigate(`/console/desktop/${got.id}`);
      else setAwaitsViewer(true);
    } catch (error) {
      onFailure(messageOf(error));
    }
  });
  const isReady = desktop?.state === "ready" && desktop.machine?.state === "running";
  useEffect(() => {
    if (!awaitsViewer) return;
    if (!desktop) return setAwaitsViewer(false);
    if (!isReady) return;
    setAwaitsViewer(false);
    openInViewer("desktop", desktop.id, pool.name).catch((error) => onFailure(messageOf(error)));
  }, [awaitsViewer, isReady, desktop?.id]);
  return { open, awaitsViewer };
}
