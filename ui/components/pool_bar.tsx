import type { PoolCounts } from "../../contracts/desktop_pool.ts";

const parts: { key: keyof Omit<PoolCounts, "total">; text: string }[] = [
  { key: "inUse", text: "in use" },
  { key: "starting", text: "starting" },
  { key: "free", text: "free" },
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
          <span key={key}>
            <i className={`kv-part-${key}`} aria-hidden="true" /> <b>{counts[key]}</b> {text}
          </span>
        ))}
      </div>
    </div>
  );
}
