import type { Plugin } from "esbuild";

/** Leaves out zod's messages in fifty other languages, which no bundler can tell to be unused. */
export const englishZod: Plugin = {
  name: "english-zod",
  setup: (build) =>
    build.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: `export { default as en } from "./en.js";`,
      loader: "js",
    })),
};
