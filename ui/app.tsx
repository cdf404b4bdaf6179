import { Bullseye, Button, EmptyState, EmptyStateBody } from "@patternfly/react-core";
import type { ReactNode } from "react";
import { ConfirmDialog } from "./components/confirm_dialog.tsx";
import { lazyPage, Waiting } from "./components/lazy.tsx";
import { Problem } from "./components/problem.tsx";
import { Shell } from "./components/shell.tsx";
import { ToastList } from "./components/toast_list.tsx";
import { location, matchPath } from "./router.ts";
import { isStaff, loadSession, session, sessionError, setup, siteName } from "./stores/session.ts";

const SignIn = lazyPage(() => import("./pages/sign_in.tsx").then((module) => module.SignInPage));
const Setup = lazyPage(() => import("./pages/setup.tsx").then((module) => module.SetupPage));
const Portal = lazyPage(() => import("./pages/portal.tsx").then((module) => module.PortalPage));
const Console = lazyPage(() => import("./console/console_page.tsx").then((module) => module.ConsolePage));
const Admin = lazyPage(() => import("./pages/admin/admin_pages.tsx").then((module) => module.AdminPages));

/** Chooses what fills the window: sign-in, the console of one machine, the user's portal, or the admin console. */
export function App() {
  return (
    <>
      <Screen />
      <ToastList />
      <ConfirmDialog />
    </>
  );
}

function Screen(): ReactNode {
  const { path } = location.value;
  if (sessionError.value) {
    return <Problem title="The dashboard does not answer" error={sessionError.value} onRetry={loadSession} />;
  }
  if (session.value === undefined) return <Waiting />;
  document.title = siteName.value;
  if (!session.value) return path === "/setup" || setup.value?.required ? <Setup /> : <SignIn />;
  const machine = matchPath("/console/machine/:id", path)?.id;
  if (machine) return isStaff.value ? <Console kind="machine" id={machine} key={machine} /> : <NotFound />;
  const desktop = matchPath("/console/desktop/:id", path)?.id;
  if (desktop) return <Console kind="desktop" id={desktop} key={desktop} />;
  if (!isStaff.value || path === "/desktops") return <Portal />;
  return (
    <Shell>
      <Admin />
    </Shell>
  );
}

function NotFound() {
  return (
    <Bullseye>
      <EmptyState headingLevel="h1" titleText="Only administrators may open this">
        <EmptyStateBody>
          <Button component="a" href="/desktops">My desktops</Button>
        </EmptyStateBody>
      </EmptyState>
    </Bullseye>
  );
}
