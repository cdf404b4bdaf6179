/**
 * Stands for remote-viewer: reads a connection file on standard input, opens its display through its proxy, and then
 * behaves as the variable FAKE_VIEWER says.
 *
 *   leave   (default) the user closes it once the display has answered
 *   stay    stays until the display is closed from the other side
 *   dialog  as `stay`, but then never exits, like remote-viewer with its error dialogs
 *   blind   never opens the display and never exits
 */
const behaviour = Deno.env.get("FAKE_VIEWER") ?? "leave";
const file = await new Response(Deno.stdin.readable).text();
const fields = Object.fromEntries(
  file.split("\n").filter((line) => line.includes("=")).map((line) => line.split(/=(.*)/s).slice(0, 2)),
);
const report = Deno.env.get("FAKE_VIEWER_REPORT");
if (report) {
  await Deno.writeTextFile(report, `${JSON.stringify({ args: Deno.args, fields })}\n`, { append: true });
}

const forever = () => new Promise<never>(() => setInterval(() => {}, 1_000));
if (behaviour === "blind") await forever();

const proxy = new URL(fields.proxy ?? "");
const display = await Deno.connect({ hostname: proxy.hostname, port: Number(proxy.port) });
const target = `${fields.host}:${fields.port}`;
await display.write(new TextEncoder().encode(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`));
const chunk = new Uint8Array(4096);
await display.read(chunk);
if (behaviour === "leave") Deno.exit(0);
while (await display.read(chunk) !== null);
if (behaviour === "dialog") await forever();
