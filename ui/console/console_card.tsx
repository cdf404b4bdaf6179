import { Card, CardBody, CardFooter, CardTitle } from "@patternfly/react-core";
import type { ReactNode } from "react";

/** What is said in the middle of the console instead of, or over, the guest's screen. */
export function ConsoleCard(
  { title, text, children }: { title: string; text: ReactNode; children?: ReactNode },
) {
  return (
    <div className="kv-console-over">
      <Card className="kv-console-card" aria-live="polite" component="section">
        <CardTitle component="h1">{title}</CardTitle>
        <CardBody>{text}</CardBody>
        {children && <CardFooter className="kv-console-actions">{children}</CardFooter>}
      </Card>
    </div>
  );
}
