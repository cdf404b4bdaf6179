import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import type { DesktopPoolDetail, PoolScheduleEntry } from "../../../contracts/desktop_pool.ts";
import { Facts } from "../../components/facts.tsx";
import { PoolBar } from "../../components/pool_bar.tsx";
import { formatBytes, plural } from "../../format.ts";
import { entryWords } from "./schedule.ts";

const afterUse = {
  keep: "left running",
  shutdown: "asked to shut down",
  reset: "reset to the image",
};

/** What a pool has to give, and by which policy. */
export function PoolStateCard({ pool }: { pool: DesktopPoolDetail }) {
  const { policy } = pool;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">State and policy</CardTitle>
      <CardBody>
        <div className="kv-stack">
          <PoolBar counts={pool.counts} />
          <Facts
            columns={1}
            items={{
              Machines: plural(pool.counts.total, "machine"),
              "After use": `the machine is ${afterUse[policy.afterUse]}`,
              "Session ends": `${plural(policy.returnAfterMinutes, "minute")} after the last sign of life`,
              Power: policy.userPower ? "users may reboot and power off" : "not for users",
              "Warm spares": policy.spares === 0 ? "none" : sparesWords(pool),
              Schedule: policy.schedule.length === 0 ? "none" : <ScheduleList entries={policy.schedule} />,
              "Data disk": dataDiskWords(policy.dataDisk),
            }}
          />
        </div>
      </CardBody>
    </Card>
  );
}

const sparesWords = ({ policy, counts }: DesktopPoolDetail) =>
  `${policy.spares.toLocaleString("en")} wanted; ${counts.spares.toLocaleString("en")} free desktops run now`;

function ScheduleList({ entries }: { entries: PoolScheduleEntry[] }) {
  return (
    <ul className="kv-family">
      {entries.map((entry, index) => <li key={index}>{entryWords(entry)}</li>)}
    </ul>
  );
}

const dataDiskWords = (policy: DesktopPoolDetail["policy"]["dataDisk"]) =>
  policy === null
    ? "none"
    : `${formatBytes(policy.bytes)} for each ${
      policy.scope === "user" ? "user, on whatever machine" : "machine"
    }`;
