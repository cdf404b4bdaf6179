import type { PoolCounts } from "../../contracts/desktop_pool.ts";

type Part = keyof Omit<PoolCounts, "total" | "spares">;
const parts: { key: Part; text: string }[] = [
  { key: "inUse", text: "in use" },
  { key: "starting", text: "starting" },
  { key: "free", text: "free" },
  { key: "full", text: "without room" },
  { key: "maintenance", text: "maintenance" },
  { key: "broken", text: "broken" },
];

/** The machines of a desktop pool by what users can do with them: a bar, and the same in words. */
export function PoolBar({ counts }: { counts: PoolCounts }) {
  const shown = parts.filter(({ key }) => counts[key] > 0);
  if (counts.total === 0) return <span className="kv-quiet">no machines</span>;
  return (
    <div className="kv-pool">
      <div className="kv-pool-bar" aria-hidden="true">
        {shown.map(({ key }) => (
          <span key={key} className={`kv-part-${key}`} style={{ flexGrow: counts[key] }} />
        ))}
      </div>
      <div className="kv-pool-words">
        {shown.map(({ key, text }) => (
          <span key={key} {...(key === "full" ? { title: "Off, on a hypervisor that is full" } : {})}>
            <i className={`kv-part-${key}`} aria-hidden="true" /> <b>{counts[key]}</b> {text}
            {key === "free" && counts.spares > 0 && `, ${counts.spares} of them running`}
          </span>
        ))}
      </div>
    </div>
  );
}
