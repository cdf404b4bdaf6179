import { Progress } from "@patternfly/react-core";

interface Props {
  label: string;
  percent: number;
  text: string;
  /** From here on it is shown as a warning. */
  warnPercent?: number;
}

/** How much of something is used. */
export function Meter({ label, percent, text, warnPercent = 85 }: Props) {
  return (
    <Progress
      size="sm"
      title={label}
      value={Math.round(Math.min(100, Math.max(0, percent)))}
      label={text}
      valueText={`${label}: ${text}`}
      {...(percent >= warnPercent ? { variant: "warning" as const } : {})}
      className="kv-meter"
    />
  );
}
