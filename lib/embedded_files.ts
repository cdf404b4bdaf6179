/** What scripts/executable/loader.js passes to the program inside the executable; from the sources there is none. */
interface EmbeddedFiles {
  names: string[];
  /** Reads a file, gzipped, from the executable; undefined when there is none of that name. */
  readGzip(name: string): Uint8Array | undefined;
}

declare const embeddedFiles: EmbeddedFiles | undefined;

export const embedded: EmbeddedFiles | undefined = typeof embeddedFiles === "undefined"
  ? undefined
  : embeddedFiles;
