import type { Endpoint } from "../../contracts/api.ts";
import { html, raw } from "hono/html";
import { api, plainPaths } from "../../contracts/api.ts";
import { z } from "zod";

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color-scheme: light dark; }
h2 { margin-top: 2.5rem; text-transform: capitalize; }
details { border: 1px solid #8886; border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { overflow: auto; padding: .6rem; background: #8881; border-radius: 6px; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 600; }
.access { float: right; opacity: .7; }`;

/** The API for people: every endpoint with what it takes and gives. One page, no scripts, nothing from elsewhere. */
export async function docsPage(): Promise<{ body: string; contentSecurityPolicy: string }> {
  const byTag = Object.groupBy(Object.values(api) as Endpoint[], ({ tag }) => tag);
  const sections = Object.entries(byTag).map(([tag, endpoints = []]) =>
    html`<section aria-label="${tag}"><h2>${tag}</h2>${endpoints.map(endpointHtml)}</section>`
  );
  const page = await html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <title>KVM-VDI API</title>
        <meta name="viewport" content="width=device-width">
        <style>${raw(style)}</style>
      </head>
      <body>
        <main><h1>KVM-VDI API</h1>
    <p>Sign in with <code>POST /api/session</code>: browsers get a cookie; with <code>"kind": "token"</code> the answer has a
    token for <code>Authorization: Bearer</code>. Long operations answer 202 with a job. Errors have one shape:
    <code>{"error": {"code", "message", "details", "requestId"}}</code>. For programs:
    <a href="${plainPaths.openApi}">OpenAPI</a>. Changes as they happen: <code>GET ${plainPaths
      .events}</code>.</p>
    ${sections}</main>
      </body>
    </html>
  `;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style));
  return {
    body: String(page),
    contentSecurityPolicy: `default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-${
      new Uint8Array(digest).toBase64()
    }'`,
  };
}

function endpointHtml({ method, path, access, summary, status, query, body, result }: Endpoint) {
  return html`<details><summary><span class="method">${method}</span> <code>${path}</code> ${summary}
<span class="access">${access}</span></summary>
${schemaHtml("Query", query, "input")}${schemaHtml("Body", body, "input")}${
    schemaHtml(`Answer ${status}`, result, "output")
  }</details>`;
}

function schemaHtml(title: string, schema: z.ZodType, io: "input" | "output") {
  if (schema.def.type === "undefined") return "";
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return html`
    <h4>${title}</h4>
    <pre tabindex="0">${JSON.stringify(json, null, 2)}</pre>
  `;
}
