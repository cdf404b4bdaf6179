/** A page of the web interface against the in-memory API, in Chromium. */
import type { BrowserContext, Page } from "playwright-core";
import type { TestBrowser, TestPage } from "./browser.ts";
import { UiServer, type UiServerOptions } from "./ui_server.ts";

export interface UiPage extends AsyncDisposable {
  server: UiServer;
  page: Page;
  context: BrowserContext;
  /** What the page has written to its console as errors. */
  errors: string[];
}

export async function openUi(
  browser: TestBrowser,
  path: string,
  options: UiServerOptions & { width?: number; dark?: boolean } = {},
): Promise<UiPage> {
  const server = new UiServer(options);
  const opened: TestPage = await browser.open({
    url: server.url + path,
    width: options.width ?? 1280,
    colorScheme: options.dark ? "dark" : "light",
  });
  opened.page.setDefaultTimeout(15_000);
  return {
    server,
    page: opened.page,
    context: opened.context,
    errors: opened.errors,
    [Symbol.asyncDispose]: async () => {
      await opened[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

/** Requests that have been made so far, by method and beginning of the path. */
export const requestsOf = (server: UiServer, method: string, path: string) =>
  server.requests.filter((line) => line.startsWith(`${method} ${path}`));
