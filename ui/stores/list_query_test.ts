import assert from "node:assert/strict";
import { readListQuery } from "./list_query.ts";

const read = (text: string) => readListQuery(new URLSearchParams(text), { sort: "name" });

Deno.test("readListQuery() turns a page into an offset", () => {
  const list = read("page=3&perPage=20&q=lab&sort=state&order=desc");
  assert.deepEqual(list.paging, { q: "lab", limit: 20, offset: 40 });
  assert.equal(list.sort, "state");
  assert.equal(list.order, "desc");
});

Deno.test("readListQuery() falls back to the defaults when the address holds nonsense", () => {
  const list = read("page=-1&perPage=many&order=sideways");
  assert.deepEqual(list.paging, { limit: 50, offset: 0 });
  assert.equal(list.sort, "name");
  assert.equal(list.order, "asc");
  assert.equal(read("perPage=100000").perPage, 500);
});

Deno.test("readListQuery() counts filters as narrowing, but not sort, page and view", () => {
  assert.equal(read("page=2&sort=name&view=grouped").narrowed, false);
  assert.equal(read("role=vdi").narrowed, true);
  assert.equal(read("q=x").narrowed, true);
});
