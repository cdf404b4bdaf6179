import { Button, EmptyState, EmptyStateBody, EmptyStateFooter, PageSection } from "@patternfly/react-core";
import { useEffect } from "preact/hooks";
import type { ReactNode } from "react";
import { location, matchPath } from "../../router.ts";
import { loadPlaces } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { AddHypervisorPage } from "./add_hypervisor_page.tsx";
import { AuditPage } from "./audit_page.tsx";
import { DesktopPoolPage } from "./desktop_pool_page.tsx";
import { DesktopPoolsPage } from "./desktop_pools_page.tsx";
import { HypervisorPage } from "./hypervisor_page.tsx";
import { HypervisorsPage } from "./hypervisors_page.tsx";
import { ImagePage } from "./image_page.tsx";
import { ImagesPage } from "./images_page.tsx";
import { JobsPage } from "./jobs_page.tsx";
import { MachinePage } from "./machine_page.tsx";
import { MachinesPage } from "./machines_page.tsx";
import { NewMachinePage } from "./new_machine_page.tsx";
import { OverviewPage } from "./overview_page.tsx";
import { SessionsPage } from "./sessions_page.tsx";
import { SettingsPage } from "./settings_page.tsx";
import { StoragePage } from "./storage_page.tsx";
import { UserPage } from "./user_page.tsx";
import { UsersPage } from "./users_page.tsx";

interface Route {
  pattern: string;
  adminOnly?: boolean;
  show: (id: string) => ReactNode;
}

const routes: Route[] = [
  { pattern: "", show: () => <OverviewPage /> },
  { pattern: "/overview", show: () => <OverviewPage /> },
  { pattern: "/machines", show: () => <MachinesPage /> },
  { pattern: "/machines/new", show: () => <NewMachinePage /> },
  { pattern: "/machines/:id", show: (id) => <MachinePage key={id} id={id} /> },
  { pattern: "/images", show: () => <ImagesPage /> },
  { pattern: "/images/:id", show: (id) => <ImagePage key={id} id={id} /> },
  { pattern: "/desktop-pools", show: () => <DesktopPoolsPage /> },
  { pattern: "/desktop-pools/:id", show: (id) => <DesktopPoolPage key={id} id={id} /> },
  { pattern: "/sessions", show: () => <SessionsPage /> },
  { pattern: "/hypervisors", show: () => <HypervisorsPage /> },
  { pattern: "/hypervisors/new", adminOnly: true, show: () => <AddHypervisorPage /> },
  { pattern: "/hypervisors/:id", show: (id) => <HypervisorPage key={id} id={id} /> },
  { pattern: "/storage", show: () => <StoragePage /> },
  { pattern: "/users", show: () => <UsersPage /> },
  { pattern: "/users/:id", show: (id) => <UserPage key={id} id={id} /> },
  { pattern: "/jobs", show: () => <JobsPage /> },
  { pattern: "/audit", adminOnly: true, show: () => <AuditPage /> },
  { pattern: "/settings", adminOnly: true, show: () => <SettingsPage /> },
];

/** The page of the admin console that the address names. */
export function AdminPages() {
  const { path } = location.value;
  useEffect(() => void loadPlaces(), []);
  for (const { pattern, adminOnly, show } of routes) {
    const params = matchPath(pattern, path);
    if (params && (!adminOnly || isAdmin.value)) return show(params.id ?? "");
  }
  return (
    <PageSection isFilled>
      <EmptyState headingLevel="h1" titleText="There is no such page">
        <EmptyStateBody>The address may be mistyped, or your role does not include this page.</EmptyStateBody>
        <EmptyStateFooter>
          <Button component="a" href="/overview">Overview</Button>
        </EmptyStateFooter>
      </EmptyState>
    </PageSection>
  );
}
