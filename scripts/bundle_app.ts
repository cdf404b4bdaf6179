/**
 * Bundles main.ts with all three modes and the migrations into one script, and the web UI beside it. The modes stay lazy:
 * esbuild turns `await import("./server/main.ts")` into a function that runs that mode's code on first use.
 */
import * as esbuild from "esbuild";
import { bundleUi, type UiFile } from "./bundle_ui.ts";
import { englishZod } from "./english_zod.ts";
import { collectLicenses } from "./licenses.ts";

const root = new URL("..", import.meta.url).pathname;

export interface AppBundle {
  /** The body of a function, in ASCII; scripts/executable/loader.js has its parameters. */
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
    format: "cjs",
    platform: "node",
    target: "esnext",
    outfile: "program.js",
    write: false,
    metafile: true,
    charset: "ascii",
    legalComments: "none",
    logLevel: "error",
    external: ["cpu-features", "*.node"],
    loader: { ".sql": "text" },
    define: {
      "__KVM_VDI_COMMIT__": JSON.stringify(commit),
      "import.meta.url": '"file:///kvm-vdi/main.js"',
      "import.meta.dirname": '"/kvm-vdi"',
    },
    plugins: [englishZod],
  });
  const [program] = result.outputFiles;
  if (!program) throw new Error("esbuild wrote nothing");
  const uiLicenses = ui.find(({ name }) => name === "licenses.txt");
  const licenses = await collectLicenses([result.metafile]) + new TextDecoder().decode(uiLicenses?.bytes);
  return { program: new TextEncoder().encode(`${program.text}\n//# sourceURL=kvm-vdi.js\n`), ui, licenses };
}
