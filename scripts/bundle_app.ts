/**
 * Bundles main.ts with all three modes, the migrations and the web UI into one JavaScript module. The modes stay lazy:
 * esbuild turns `await import("./server/main.ts")` into a function that runs that mode's code on first use.
 */
import * as esbuild from "esbuild";
import { bundleUi, gzip, type UiFile } from "./bundle_ui.ts";
import { englishZod } from "./english_zod.ts";
import { collectLicenses } from "./licenses.ts";

const root = new URL("..", import.meta.url).pathname;

/** CommonJS packages inside the bundle expect these. */
const banner = `import { createRequire as createRequireOfBundle } from "node:module";
const require = createRequireOfBundle("file:///kvm-vdi/main.js"), __filename = "/kvm-vdi/main.js", __dirname = "/kvm-vdi";`;

export interface AppBundle {
  program: Uint8Array;
  ui: UiFile[];
  licenses: string;
}

/** Bundles everything; `commit` is what `kvm-vdi version` will say. */
export async function bundleApp(commit: string): Promise<AppBundle> {
  const ui = await bundleUi();
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ["main.ts"],
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    outfile: "program.js",
    write: false,
    metafile: true,
    legalComments: "none",
    logLevel: "error",
    external: ["cpu-features", "*.node"],
    loader: { ".sql": "text" },
    banner: { js: banner },
    define: { __KVM_VDI_COMMIT__: JSON.stringify(commit) },
    plugins: [embedAssets(ui), englishZod],
  });
  const [program] = result.outputFiles;
  if (!program) throw new Error("esbuild wrote nothing");
  const uiLicenses = ui.find(({ name }) => name === "licenses.txt");
  const licenses = await collectLicenses([result.metafile]) + new TextDecoder().decode(uiLicenses?.bytes);
  return { program: program.contents, ui, licenses };
}

/** Puts the UI's files in the place of lib/embedded_assets.ts. */
function embedAssets(files: UiFile[]): esbuild.Plugin {
  return {
    name: "embed-assets",
    setup: (build) =>
      build.onLoad({ filter: /lib\/embedded_assets\.ts$/ }, async () => {
        const packed = await Promise.all(
          files.map(async ({ name, bytes }) => [name, (await gzip(bytes)).toBase64()] as const),
        );
        return {
          contents: `export const embeddedAssets = ${JSON.stringify(Object.fromEntries(packed))};`,
          loader: "ts",
        };
      }),
  };
}
