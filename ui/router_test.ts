import assert from "node:assert/strict";
import { matchPath, patchSearch } from "./router.ts";

Deno.test("matchPath() returns the parameters of a path that fits", () => {
  assert.deepEqual(matchPath("/machines/:id", "/machines/42"), { id: "42" });
  assert.deepEqual(matchPath("/machines/:id", "/machines/a%20b/"), { id: "a b" });
  assert.deepEqual(matchPath("/machines", "/machines"), {});
  assert.deepEqual(matchPath("", "/"), {});
});

Deno.test("matchPath() refuses other paths", () => {
  assert.equal(matchPath("/machines/:id", "/machines"), null);
  assert.equal(matchPath("/machines/:id", "/machines/"), null);
  assert.equal(matchPath("/machines/:id", "/users/42"), null);
  assert.equal(matchPath("/machines/:id", "/machines/42/disks"), null);
});

Deno.test("patchSearch() changes some parameters and removes empty ones", () => {
  assert.equal(patchSearch("?q=lab&page=3", { page: null, role: "vdi" }), "?q=lab&role=vdi");
  assert.equal(patchSearch("?q=lab", { q: "" }), "");
  assert.equal(patchSearch("", { new: true, view: false }), "?new=true");
});
