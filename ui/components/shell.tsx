import {
  Alert,
  AlertActionLink,
  Nav,
  NavItem,
  NavList,
  Page,
  PageSection,
  PageSidebar,
  PageSidebarBody,
  SkipToContent,
} from "@patternfly/react-core";
import { useEffect } from "preact/hooks";
import type { ReactNode } from "react";
import { connection, reconnectNow } from "../events.ts";
import { location } from "../router.ts";
import { isAdmin } from "../stores/session.ts";
import { AppMasthead } from "./app_masthead.tsx";
import { DialogHost } from "./dialog_host.tsx";

interface Place {
  path: string;
  title: string;
  adminOnly?: boolean;
}

const places: Place[] = [
  { path: "/overview", title: "Overview" },
  { path: "/machines", title: "Machines" },
  { path: "/images", title: "Images" },
  { path: "/desktop-pools", title: "Desktop pools" },
  { path: "/sessions", title: "Sessions" },
  { path: "/hypervisors", title: "Hypervisors" },
  { path: "/storage", title: "Storage" },
  { path: "/users", title: "Users" },
  { path: "/jobs", title: "Jobs" },
  { path: "/audit", title: "Audit", adminOnly: true },
  { path: "/settings", title: "Settings", adminOnly: true },
];

/** The frame of the admin console: masthead, navigation, and the page. */
export function Shell({ children }: { children: ReactNode }) {
  return (
    <Page
      masthead={<AppMasthead hasSidebar />}
      sidebar={
        <PageSidebar>
          <PageSidebarBody>
            <Places />
          </PageSidebarBody>
        </PageSidebar>
      }
      isManagedSidebar
      isContentFilled
      mainContainerId="main"
      mainTabIndex={-1}
      skipToContent={<SkipToContent href="#main" onClick={focusMain}>Skip to content</SkipToContent>}
    >
      <ConnectionLost />
      {children}
      <DialogHost />
    </Page>
  );
}

function focusMain(event: { preventDefault(): void }) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Places() {
  const path = location.value.path === "/" ? "/overview" : location.value.path;
  useEffect(closeOverlaidSidebar, [path]);
  return (
    <Nav aria-label="Console">
      <NavList>
        {places.filter((place) => !place.adminOnly || isAdmin.value).map((place) => (
          <NavItem
            key={place.path}
            to={place.path}
            isActive={path === place.path || path.startsWith(`${place.path}/`)}
          >
            {place.title}
          </NavItem>
        ))}
      </NavList>
    </Nav>
  );
}

/** On a narrow screen the sidebar covers the page: going somewhere closes it. */
function closeOverlaidSidebar() {
  if (matchMedia("(min-width: 75rem)").matches) return;
  const toggle = document.querySelector<HTMLButtonElement>(".pf-v6-c-masthead__toggle button");
  if (toggle?.getAttribute("aria-expanded") === "true") toggle.click();
}

/** Shown while the event stream is down: what is on the screen may be old. */
export function ConnectionLost() {
  if (connection.value !== "lost") return null;
  return (
    <PageSection padding={{ default: "noPadding" }} aria-label="Connection">
      <Alert
        variant="warning"
        isInline
        isLiveRegion
        title="Connection to the dashboard lost"
        actionLinks={<AlertActionLink onClick={reconnectNow}>Try now</AlertActionLink>}
      >
        What you see may be out of date. Reconnecting…
      </Alert>
    </PageSection>
  );
}
