import { Alert, AlertGroup, Content } from "@patternfly/react-core";
import type { Warning } from "../../contracts/settings.ts";

/** What needs attention, worst first. */
export function WarningList({ warnings, onFollow }: { warnings: Warning[]; onFollow?: () => void }) {
  if (warnings.length === 0) {
    return <Content component="p">Everything works as far as the dashboard can tell.</Content>;
  }
  const rank = { danger: 0, warning: 1, info: 2 };
  const sorted = [...warnings].sort((a, b) => rank[a.severity] - rank[b.severity]);
  return (
    <AlertGroup>
      {sorted.map(({ id, severity, message, link }) => (
        <Alert
          key={id}
          isInline
          isPlain
          variant={severity}
          title={message}
          component="p"
          actionLinks={link ? <a href={link} onClick={onFollow}>Go to the remedy</a> : undefined}
        />
      ))}
    </AlertGroup>
  );
}
