import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import type { ReactNode } from "react";
import { ThemeMenu } from "../components/account_menu.tsx";
import { session, setup } from "../stores/session.ts";

/** The frame of the pages before the door: one card in the middle of the window. */
export function Gate({ title, children }: { title: string; children: ReactNode }) {
  const version = setup.value?.version ?? session.value?.version;
  return (
    <main className="kv-gate">
      <div className="kv-gate-corner">
        <ThemeMenu />
      </div>
      <Card className="kv-gate-card" isLarge>
        <CardTitle component="h1">{title}</CardTitle>
        <CardBody>{children}</CardBody>
      </Card>
      <p className="kv-gate-version">{version && `KVM-VDI ${version}`}</p>
    </main>
  );
}
