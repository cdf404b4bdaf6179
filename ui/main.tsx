import { render } from "preact";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";
import { loadSession } from "./stores/session.ts";
import { startClock } from "./stores/clock.ts";
import { startTheme } from "./stores/theme.ts";

startTheme();
startClock();
startRouter();
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
render(<App />, root);
void loadSession();
