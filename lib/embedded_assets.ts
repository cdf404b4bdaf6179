/**
 * The files inside the executable: name to base64 of the gzipped bytes. From the sources there are none; the real
 * content takes this module's place in scripts/bundle_app.ts.
 */
export const embeddedAssets: Record<string, string> | undefined = undefined;
