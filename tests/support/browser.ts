/** Debian's Chromium, driven by playwright-core, with a profile of its own and no calls home. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

export interface TestBrowser extends AsyncDisposable {
  browser: Browser;
  /** A page of a new, signed-out browser context; `path` is opened when given. */
  open(options?: OpenOptions): Promise<TestPage>;
}

export interface OpenOptions {
  url?: string;
  width?: number;
  height?: number;
  colorScheme?: "light" | "dark";
}

export interface TestPage extends AsyncDisposable {
  page: Page;
  context: BrowserContext;
  /** Errors that the page has written to its console or thrown; tests assert that there are none. */
  errors: string[];
}

export async function startBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox", // tests may run as root
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    browser,
    open: (options) => openPage(browser, options),
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

async function openPage(browser: Browser, options: OpenOptions = {}): Promise<TestPage> {
  const { url, width = 1280, height = 800, colorScheme = "light" } = options;
  // The dashboard's certificate comes from its own CA, which this browser does not know.
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(`${message.text()} [${message.location().url}]`);
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  if (url) await page.goto(url);
  return { page, context, errors, [Symbol.asyncDispose]: () => context.close() };
}
