import {
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  Content,
  ExpandableSection,
  Grid,
  GridItem,
  ToggleGroup,
  ToggleGroupItem,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useMemo, useState } from "preact/hooks";
import type { Hypervisor, LoadPoint } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { Waiting } from "../../components/lazy.tsx";
import { LineChart } from "../../components/line_chart.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { formatBytes, formatClock, formatMiB } from "../../format.ts";
import { location, setQuery } from "../../router.ts";
import { now } from "../../stores/clock.ts";
import { useLoad } from "../../stores/load.ts";
import { type Measure, measureWords } from "./hypervisor_words.ts";
import { seriesOf, thinned } from "./load_series.ts";

const ranges = [
  { hours: 6, text: "6 h", words: "the last 6 hours" },
  { hours: 24, text: "24 h", words: "the last 24 hours" },
  { hours: 7 * 24, text: "7 d", words: "the last 7 days" },
  { hours: 31 * 24, text: "31 d", words: "the last 31 days" },
] as const;
const refreshMs = 60_000;
const tableRows = 25;

const measures: Measure[] = [
  { key: "cpuPercent", title: "CPU", format: (value) => `${Math.round(value)} %` },
  { key: "memoryUsedMiB", title: "Memory", format: formatMiB, binary: true },
  { key: "running", title: "Running machines", format: (value) => Math.round(value).toLocaleString("en") },
  { key: "freeBytes", title: "Free space for images", format: formatBytes, binary: true },
];

/** How busy a hypervisor was: four charts over a range that the address holds. */
export function HypervisorHistory({ hypervisor }: { hypervisor: Hypervisor }) {
  const hours = Number(location.value.query.get("hours"));
  const range = ranges.find((one) => one.hours === hours) ?? ranges[1];
  const loaded = useLoad(
    `${hypervisor.id} ${range.hours} ${Math.floor(now.value / refreshMs)}`,
    (signal) =>
      call("getHypervisorLoad", { params: { id: hypervisor.id }, query: { hours: range.hours }, signal }),
  );
  const points = loaded.value?.points;
  return (
    <Card>
      <CardHeader actions={{ actions: <RangeChoice hours={range.hours} />, hasNoOffset: true }}>
        <CardTitle component="h2">History</CardTitle>
      </CardHeader>
      <CardBody>
        {loaded.error && !points
          ? (
            <InlineProblem
              title="The history could not be loaded"
              error={loaded.error}
              onRetry={loaded.reload}
            />
          )
          : null}
        {!points && !loaded.error && <Waiting />}
        {points && points.length < 2 && (
          <Content component="p">Nothing was measured yet. A value is kept every minute.</Content>
        )}
        {points && points.length >= 2 && (
          <Charts points={points} words={range.words} hypervisor={hypervisor} />
        )}
      </CardBody>
    </Card>
  );
}

function RangeChoice({ hours }: { hours: number }) {
  return (
    <ToggleGroup aria-label="Time shown" isCompact>
      {ranges.map((range) => (
        <ToggleGroupItem
          key={range.hours}
          text={range.text}
          buttonId={`range-${range.hours}`}
          isSelected={range.hours === hours}
          onChange={() => setQuery({ hours: range.hours })}
        />
      ))}
    </ToggleGroup>
  );
}

interface ChartsProps {
  points: LoadPoint[];
  words: string;
  hypervisor: Hypervisor;
}

function Charts({ points, words, hypervisor }: ChartsProps) {
  const images = hypervisor.facts?.storage.find(({ kind }) => kind === "images");
  const most: Record<Measure["key"], number | null> = {
    cpuPercent: 100,
    memoryUsedMiB: hypervisor.facts?.memoryMiB ?? null,
    running: hypervisor.capacity.maxRunning,
    freeBytes: images?.totalBytes ?? null,
  };
  return (
    <div className="kv-stack">
      <Grid hasGutter>
        {measures.map((measure) => (
          <GridItem key={measure.key} xl={6}>
            <MeasureChart measure={measure} points={points} words={words} max={most[measure.key]} />
          </GridItem>
        ))}
      </Grid>
      <ValueTable points={points} />
    </div>
  );
}

interface MeasureChartProps {
  measure: Measure;
  points: LoadPoint[];
  words: string;
  max: number | null;
}

function MeasureChart({ measure, points, words, max }: MeasureChartProps) {
  const [point, setPoint] = useState<{ at: number; value: number } | null>(null);
  const series = useMemo(() => seriesOf(points, measure.key), [points, measure.key]);
  const summary = measureWords(points.map((one) => one[measure.key]), measure.format);
  return (
    <figure className="kv-figure">
      <figcaption>
        <h3>{measure.title}</h3>
        <span className="kv-quiet">
          {point ? `${measure.format(point.value)} at ${formatClock(point.at, now.value)}` : summary}
        </span>
      </figcaption>
      <LineChart
        series={series}
        max={max}
        format={measure.format}
        binary={measure.binary ?? false}
        label={`${measure.title} over ${words}: ${summary}`}
        onPoint={setPoint}
      />
    </figure>
  );
}

/** The same as numbers. */
function ValueTable({ points }: { points: LoadPoint[] }) {
  const [open, setOpen] = useState(false);
  return (
    <ExpandableSection
      toggleText="As a table"
      isExpanded={open}
      onToggle={(_, expanded) => setOpen(expanded)}
    >
      {open && (
        <div className="kv-table">
          <Table aria-label="History" variant="compact" gridBreakPoint="">
            <Thead>
              <Tr>
                <Th>Time</Th>
                {measures.map(({ key, title }) => <Th key={key}>{title}</Th>)}
              </Tr>
            </Thead>
            <Tbody>
              {thinned(points, tableRows).map((point) => (
                <Tr key={point.at}>
                  <Td modifier="nowrap">{formatClock(point.at, now.value)}</Td>
                  {measures.map(({ key, format }) => (
                    <Td key={key} modifier="nowrap">{format(point[key])}</Td>
                  ))}
                </Tr>
              ))}
            </Tbody>
          </Table>
        </div>
      )}
    </ExpandableSection>
  );
}
