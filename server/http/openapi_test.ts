import assert from "node:assert/strict";
import { api, type Endpoint } from "../../contracts/api.ts";
import { startTestDashboard } from "../../tests/support/dashboard.ts";
import { docsPage } from "./docs_page.ts";
import { openApiDocument } from "./openapi.ts";

type Operation = {
  operationId: string;
  parameters?: { name: string; in: string }[];
  responses: Record<string, unknown>;
};

Deno.test("the OpenAPI document describes every endpoint with its parameters and its answer", () => {
  const paths = openApiDocument("https://vdi").paths as Record<string, Record<string, Operation>>;
  for (const [name, { method, path, status }] of Object.entries(api) as [string, Endpoint][]) {
    const operation = paths[path.replace(":id", "{id}")]?.[method.toLowerCase()];
    assert.equal(operation?.operationId, name);
    assert(String(status) in operation.responses, name);
    const inPath = operation.parameters?.filter((parameter) =>
      parameter.in === "path"
    ).map(({ name }) => name) ?? [];
    assert.deepEqual(inPath, path.includes(":id") ? ["id"] : [], name);
  }
});

Deno.test("the OpenAPI document has no references to nowhere", () => {
  const document = openApiDocument("https://vdi");
  const text = JSON.stringify(document);
  for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    let node: unknown = document;
    for (const key of reference!.split("/")) node = (node as Record<string, unknown>)?.[key];
    assert.notEqual(node, undefined, `#/${reference}`);
  }
});

Deno.test("the documentation page names every endpoint and loads nothing", async () => {
  const { body } = await docsPage();
  for (const { path } of Object.values(api)) assert(body.includes(path), path);
  assert.doesNotMatch(body, /<script|src=|href="http/);
});

Deno.test("/api/openapi.json, /api/docs, /healthz and /metrics answer", async () => {
  await using test = await startTestDashboard();
  assert.equal((await (await test.anonymous.fetch("/api/openapi.json")).json()).openapi, "3.1.0");
  const docs = await test.anonymous.fetch("/api/docs");
  assert.match(docs.headers.get("content-security-policy") ?? "", /style-src 'sha256-/);
  assert.match(await docs.text(), /KVM-VDI API/);
  assert.equal((await (await test.anonymous.fetch("/healthz")).json()).status, "ok");
  const metrics = await (await test.anonymous.fetch("/metrics")).text();
  assert.match(metrics, /kvm_vdi_http_requests_total\{method="GET",route="other",status="200"\}/);
  const proxied = await test.anonymous.fetch("/metrics", { headers: { "X-Forwarded-For": "192.0.2.1" } });
  assert.equal(proxied.status, 403);
  await proxied.body?.cancel();
});
