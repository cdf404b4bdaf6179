/** What holds for every page of the product: axe-core finds no violation, and nothing scrolls sideways. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";

interface Axe {
  run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

let source: Promise<string> | undefined;
const axeSource = () =>
  source ??= Deno.readTextFile(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url));

/** Checks the page as it stands once what moves has come to rest; `what` names it in a failure. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  await atRest(page);
  assert.deepEqual(await violationsOf(page), [], what);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${what} is ${overflow} px too wide`);
}

/** Waits for the end of transitions: half-way through one, colours are not those that people read. */
async function atRest(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const moving = () =>
      document.getAnimations().filter((animation) =>
        animation.playState !== "finished" && Number.isFinite(animation.effect?.getComputedTiming().endTime)
      );
    // What was just opened begins to move with the frame after the one that shows it.
    do {
      await Promise.allSettled(moving().map((animation) => animation.finished));
      await nextFrame();
      await nextFrame();
    } while (moving().length > 0);
  });
}

async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(await axeSource());
  return await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: Axe }).axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
  });
}
