/** A hypervisor's history as series for charts and tables. */
import type { LoadPoint } from "../../../contracts/hypervisor.ts";
import type { Series } from "../../components/line_chart.tsx";

type Measure = keyof Omit<LoadPoint, "at">;

/**
 * One value of every point. Where points are missing, as while the host was offline, the line is broken: a gap is more
 * than three times the usual step.
 */
export function seriesOf(points: LoadPoint[], measure: Measure): Series {
  const step = usualStep(points.map(({ at }) => at));
  const times: number[] = [];
  const values: (number | null)[] = [];
  for (const point of points) {
    const before = times.at(-1);
    if (before !== undefined && point.at - before > 3 * step) {
      times.push(before + step);
      values.push(null);
    }
    times.push(point.at);
    values.push(point[measure]);
  }
  return { times, values };
}

function usualStep(times: number[]): number {
  const steps = times.slice(1).map((at, index) => at - times[index]!).sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? Infinity;
}

/** At most `count` of the points, evenly chosen, the last always among them: for a table. */
export function thinned(points: LoadPoint[], count: number): LoadPoint[] {
  if (points.length <= count) return points;
  const last = points.length - 1;
  return Array.from({ length: count }, (_, n) => points[Math.round(n * last / (count - 1))]!);
}
