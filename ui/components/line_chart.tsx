import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { isDark } from "../stores/theme.ts";
import { InlineProblem } from "./problem.tsx";

export interface Series {
  /** Unix ms, rising. */
  times: number[];
  values: (number | null)[];
}

interface Props {
  series: Series;
  /** Top of the scale; null: as high as the values are. */
  max: number | null;
  format: (value: number) => string;
  /** Sizes: the scale goes in powers of two. */
  binary?: boolean;
  /** The chart in words: what those hear who can't see it. */
  label: string;
  /** What the pointer is at, or null. */
  onPoint: (point: { at: number; value: number } | null) => void;
}

const heightPx = 180;
const powersOfTwo = Array.from({ length: 60 }, (_, n) => 2 ** n);
const daySeconds = 86_400;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** One value over time. The library is fetched with the first chart. */
export function LineChart({ series, max, format, binary = false, label, onPoint }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>(null);
  const point = useRef(onPoint);
  point.current = onPoint;
  const dark = isDark.value;
  useEffect(() => {
    let chart: uPlot | undefined;
    let gone = false;
    const follow = new ResizeObserver(() =>
      chart?.setSize({ width: home.current!.clientWidth, height: heightPx })
    );
    import("uplot").then(({ default: Plot }) => {
      if (gone || !home.current) return;
      const options = optionsOf(home.current, {
        series,
        max,
        format,
        binary,
        onPoint: (at) => point.current(at),
      });
      chart = new Plot(options, [series.times.map((at) => at / 1000), series.values], home.current);
      follow.observe(home.current);
    }, setError);
    return () => {
      gone = true;
      follow.disconnect();
      chart?.destroy();
    };
  }, [series, max, dark]);
  if (error) return <InlineProblem title="The chart could not be drawn" error={error} />;
  return <div ref={home} className="kv-chart" role="img" aria-label={label} />;
}

function optionsOf(
  home: HTMLElement,
  { series, max, format, binary, onPoint }: Omit<Props, "label">,
): uPlot.Options {
  const styles = getComputedStyle(home);
  const color = (token: string) => styles.getPropertyValue(`--pf-t--${token}`).trim();
  const line = color("global--color--brand--default");
  const axis: uPlot.Axis = {
    stroke: color("global--text--color--subtle"),
    font: `12px ${styles.fontFamily}`,
    grid: { stroke: color("global--border--color--default"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: home.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, highest) => [0, max ?? Math.max(1, highest ?? 1) * 1.1] } },
    series: [{}, {
      stroke: line,
      width: 1.5,
      fill: `color-mix(in srgb, ${line} 14%, transparent)`,
      points: { show: false },
    }],
    axes: [
      {
        ...axis,
        size: 30,
        space: 70,
        values: (_, splits, __, ___, step) =>
          splits.map((seconds) => (step >= daySeconds ? day : clock).format(seconds * 1000)),
      },
      {
        ...axis,
        size: 72,
        space: 30,
        ...(binary ? { incrs: powersOfTwo } : {}),
        values: (_, splits) => splits.map((value) => format(value)),
      },
    ],
    hooks: {
      setCursor: [({ cursor: { idx } }) => {
        const value = idx === null || idx === undefined ? null : series.values[idx] ?? null;
        onPoint(value === null ? null : { at: series.times[idx!]!, value });
      }],
    },
  };
}
