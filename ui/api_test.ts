import assert from "node:assert/strict";
import { AppError } from "../contracts/errors.ts";
import { call, errorDetails, fieldErrors, onUnauthenticated, RequestError, urlOf } from "./api.ts";

/** Answers the next fetch; returns what was asked and puts the real fetch back. */
async function withAnswer(answer: Response | Error, work: () => Promise<void>): Promise<Request[]> {
  const real = globalThis.fetch;
  const asked: Request[] = [];
  globalThis.fetch = (input, init) => {
    asked.push(new Request(new URL(String(input), "http://dashboard.test"), init));
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  try {
    await work();
  } finally {
    globalThis.fetch = real;
  }
  return asked;
}

Deno.test("urlOf() fills parameters, escapes them, and leaves out empty query values", () => {
  assert.equal(
    urlOf("/api/machines/:id", { id: "a/b" }, { q: "x y", role: undefined, limit: 5 }),
    "/api/machines/a%2Fb?q=x+y&limit=5",
  );
  assert.throws(() => urlOf("/api/machines/:id"), /without its parameter id/);
});

Deno.test("call() sends the body as JSON and returns the parsed answer", async () => {
  const session = { required: true, siteName: "Lab", version: "1.0.0" };
  const [request] = await withAnswer(Response.json(session), async () => {
    assert.deepEqual(await call("getSetup"), session);
  });
  assert.equal(new URL(request!.url).pathname, "/api/setup");
  const [second] = await withAnswer(new Response(null, { status: 204 }), async () => {
    await call("changePassword", { body: { currentPassword: "a", newPassword: "b" } });
  });
  assert.deepEqual(await second!.json(), { currentPassword: "a", newPassword: "b" });
});

Deno.test("call() throws the dashboard's own words with the request id", async () => {
  const error = {
    code: "conflict",
    message: "lab-1 is running",
    requestId: "r-7",
    details: [{ path: "name", message: "is taken" }],
  };
  await withAnswer(Response.json({ error }, { status: 409 }), async () => {
    await assert.rejects(call("getSetup"), (thrown: unknown) => {
      assert.ok(thrown instanceof RequestError);
      assert.equal(thrown.code, "conflict");
      assert.equal(thrown.requestId, "r-7");
      assert.deepEqual(fieldErrors(thrown), { name: "is taken" });
      assert.match(errorDetails(thrown), /lab-1 is running[\s\S]*request: r-7/);
      return true;
    });
  });
});

Deno.test("call() says that the dashboard can't be reached when the network fails", async () => {
  await withAnswer(new TypeError("Failed to fetch"), async () => {
    await assert.rejects(call("getSetup"), { code: "unavailable" });
  });
});

Deno.test("call() announces that nobody is signed in any more, but not for a refused sign-in", async () => {
  let announced = 0;
  onUnauthenticated(() => announced++);
  const refuse = () =>
    Response.json({ error: { code: "unauthenticated", message: "Sign in." } }, { status: 401 });
  await withAnswer(refuse(), () => assert.rejects(call("listMachines"), AppError));
  assert.equal(announced, 1);
  await withAnswer(refuse(), () => assert.rejects(call("getSession"), AppError));
  assert.equal(announced, 1);
});
