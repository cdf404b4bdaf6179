import { gunzipSync } from "node:zlib";
import { AppError } from "../contracts/errors.ts";
import { embedded } from "./embedded_files.ts";

/** A file that belongs to the program: a part of the web UI, or a licence text. */
export interface Asset {
  bytes: Uint8Array;
  contentType: string;
  /** The same, compressed; absent where it would not be smaller. */
  gzipBytes?: Uint8Array;
  /** The name carries a hash of the content: it can be cached for ever. */
  immutable: boolean;
}

const contentTypes: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
  png: "image/png",
  woff2: "font/woff2",
  wasm: "application/wasm",
};

/** Where scripts/bundle_ui.ts puts the assets in a source tree. */
const sourceFolder = new URL("../dist/ui/", import.meta.url);
const cache = new Map<string, Asset>();

/** Names of all assets, such as `index.html` and `assets/main-<hash>.js`. */
export async function listAssets(): Promise<string[]> {
  if (embedded) return embedded.names.toSorted();
  return (await listFolder("")).sort();
}

/**
 * Reads an asset by name; undefined when there is none of that name.
 * @throws {AppError} `unavailable` when the web UI of a source tree has not been bundled.
 */
export async function readAsset(name: string): Promise<Asset | undefined> {
  const cached = cache.get(name);
  if (cached) return cached;
  const asset = embedded ? describeGzip(name, embedded.readGzip(name)) : await readFromSources(name);
  // A source tree may be bundled again while the program runs.
  if (asset && embedded) cache.set(name, asset);
  return asset;
}

function describeGzip(name: string, gzipBytes: Uint8Array | undefined): Asset | undefined {
  return gzipBytes && describe(name, new Uint8Array(gunzipSync(gzipBytes)), gzipBytes);
}

async function readFromSources(name: string): Promise<Asset | undefined> {
  if (!(await listAssets()).includes(name)) return undefined;
  const bytes = await Deno.readFile(new URL(name, sourceFolder));
  return describe(name, bytes, undefined);
}

function describe(name: string, bytes: Uint8Array, gzipBytes: Uint8Array | undefined): Asset {
  return {
    bytes,
    contentType: contentTypes[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
    ...(gzipBytes && gzipBytes.length < bytes.length && { gzipBytes }),
    immutable: name.startsWith("assets/"),
  };
}

async function listFolder(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(new URL(folder, sourceFolder))) {
      const name = folder + entry.name;
      if (entry.isDirectory) names.push(...await listFolder(`${name}/`));
      else names.push(name);
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new AppError("unavailable", "The web interface is not built yet: run `deno task bundle`.", {
      cause,
    });
  }
  return names;
}
