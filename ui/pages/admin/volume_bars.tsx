import type { StoragePath } from "../../../contracts/hypervisor.ts";
import type { StorageFile } from "../../../contracts/storage.ts";
import { formatBytes } from "../../format.ts";
import { kindTexts, type Volume, volumesOf } from "./storage_words.ts";

const dirTexts: Record<StoragePath["kind"], string> = { images: "images", iso: "ISO", scratch: "scratch" };

/** Each file system of a hypervisor as a bar of what lies there, and the same in words. */
export function VolumeBars({ storage, files }: { storage: StoragePath[]; files: StorageFile[] }) {
  if (storage.length === 0) return <p className="kv-quiet">Not known while the hypervisor is offline.</p>;
  return (
    <div className="kv-stack">
      {volumesOf(storage, files).map((volume) => <VolumeBar key={volume.paths[0]!.path} volume={volume} />)}
    </div>
  );
}

function VolumeBar({ volume }: { volume: Volume }) {
  const { paths, parts, otherBytes, freeBytes, totalBytes } = volume;
  const low = freeBytes < totalBytes * 0.1;
  return (
    <div className="kv-volume">
      <div className="kv-volume-head">
        <span>
          <strong>{paths.map((one) => dirTexts[one.kind]).join(", ")}</strong>{" "}
          <span className="kv-path kv-quiet">{[...new Set(paths.map((one) => one.path))].join(", ")}</span>
        </span>
        <span className={low ? "kv-problem" : ""}>
          {formatBytes(freeBytes)} free of {formatBytes(totalBytes)}
        </span>
      </div>
      <div className="kv-pool-bar kv-volume-bar" aria-hidden="true">
        {parts.map(({ kind, bytes }) => (
          <span key={kind} className={`kv-kind-${kind}`} style={{ flexGrow: bytes }} />
        ))}
        <span className="kv-kind-other" style={{ flexGrow: otherBytes }} />
        <span style={{ flexGrow: freeBytes }} />
      </div>
      <div className="kv-pool-words">
        {parts.map(({ kind, bytes, count }) => (
          <span key={kind}>
            <i className={`kv-kind-${kind}`} aria-hidden="true" /> {kindTexts[kind]}:{" "}
            <b>{formatBytes(bytes)}</b> <span className="kv-quiet">({count.toLocaleString("en")})</span>
          </span>
        ))}
        {otherBytes > 0 && (
          <span>
            <i className="kv-kind-other" aria-hidden="true" /> Other: <b>{formatBytes(otherBytes)}</b>
          </span>
        )}
      </div>
    </div>
  );
}
