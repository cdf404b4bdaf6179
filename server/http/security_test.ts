/** The predecessor's defects in sign-in, sessions and input (design's numbers 4, 5 and 6), each shown not to happen here. */
import assert from "node:assert/strict";
import { api, type Endpoint, plainPaths } from "../../contracts/api.ts";
import {
  adminPassword,
  ApiClient,
  startTestDashboard,
  type TestDashboard,
} from "../../tests/support/dashboard.ts";

/** Makes a user with a real password. */
async function createUser(test: TestDashboard, username: string, password = adminPassword) {
  return (await test.admin.call("createUser", { body: { username, password } })).user;
}

/** Status, headers and JSON of an answer that was read to its end. */
async function read(response: Response) {
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    json: text === "" ? undefined : JSON.parse(text),
  };
}
type Answer = Awaited<ReturnType<typeof read>>;

const signInWith = async (test: TestDashboard, username: string, password: string, init: RequestInit = {}) =>
  await read(
    await test.anonymous.fetch("/api/session", {
      method: "POST",
      body: JSON.stringify({ username, password }),
      ...init,
    }),
  );

const cookieOf = ({ headers }: Answer) => headers.get("set-cookie") ?? "";
const valueOf = (cookie: string) => cookie.split(";")[0]!;

Deno.test("there is no default password (defect 5)", async () => {
  await using test = await startTestDashboard();
  for (
    const [username, password] of [["admin", "admin"], ["admin", "password"], ["admin", ""], ["root", "root"]]
  ) {
    const response = await signInWith(test, username!, password!);
    assert([400, 401].includes(response.status), `${username}: ${response.status}`);
  }
});

Deno.test("sign-in: '%' and other wildcards match no user name, and the whole password counts (defect 5)", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice", "12345678 and more");
  for (const username of ["%", "ali%", "_lice", "alice%", "a*", "' OR '1'='1"]) {
    const response = await signInWith(test, username, "12345678 and more");
    assert.equal(response.status, 401, username);
  }
  assert.equal((await signInWith(test, "alice", "12345678")).status, 401);
  assert.equal((await signInWith(test, "ALICE", "12345678 and more")).status, 200);
});

Deno.test("sign-in: 1.2345e4 does not equal 12345 (defect 6)", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice", "1234567890");
  assert.equal((await signInWith(test, "alice", "1.23456789e9")).status, 401);
});

Deno.test("sign-in locks an account, says the same of names that nobody has, and an admin unlocks it (defect 5)", async () => {
  await using test = await startTestDashboard();
  const alice = await createUser(test, "alice");
  await test.admin.call("updateSettings", { body: { lockoutAttempts: 3 } });
  const outcomes: Record<string, string[]> = {};
  for (const username of ["alice", "nobody"]) {
    for (let i = 0; i < 4; i++) {
      const { error } = (await signInWith(test, username, "wrong")).json;
      (outcomes[username] ??= []).push(`${error.code} ${error.message}`);
    }
  }
  assert.deepEqual(outcomes.alice, outcomes.nobody);
  assert.match(outcomes.alice![3]!, /^too_many_attempts .*Try again in 15 minutes/);
  assert.equal((await signInWith(test, "alice", adminPassword)).status, 429);
  assert((await test.admin.call("getUser", { id: alice.id })).user.lockedUntil !== null);
  await test.admin.call("updateUser", { id: alice.id, body: { unlock: true } });
  assert.equal((await signInWith(test, "alice", adminPassword)).status, 200);
});

Deno.test("a disabled account is not told from a wrong password without the right one", async () => {
  await using test = await startTestDashboard();
  const alice = await createUser(test, "alice");
  await test.admin.call("updateUser", { id: alice.id, body: { disabled: true } });
  assert.equal((await signInWith(test, "alice", "wrong")).status, 401);
  const right = await signInWith(test, "alice", adminPassword);
  assert.equal(right.status, 403);
  assert.match(right.json.error.message, /disabled/);
});

Deno.test("session cookies are HttpOnly, SameSite=Strict and, over TLS, Secure with the __Host- prefix (defect 4)", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice");
  assert.match(
    cookieOf(await signInWith(test, "alice", adminPassword)),
    /^kvm-vdi=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/,
  );
  await using proxied = await startTestDashboard({ config: { trustProxy: true } });
  await createUser(proxied, "alice");
  const headers = { "X-Forwarded-Proto": "https", "X-Forwarded-For": "evil, 192.0.2.7" };
  assert.match(
    cookieOf(await signInWith(proxied, "alice", adminPassword, { headers })),
    /^__Host-kvm-vdi=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Strict$/,
  );
  const { items } = await proxied.admin.call("listAudit", { query: { action: "session.sign-in" } });
  assert.equal(items[0]?.address, "192.0.2.7");
});

Deno.test("a session id from before the sign-in is not taken over: session fixation (defect 4)", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice");
  const planted = "kvm-vdi=" + "A".repeat(43);
  const first = await signInWith(test, "alice", adminPassword, { headers: { Cookie: planted } });
  assert.notEqual(valueOf(cookieOf(first)), planted);
  const session = async (cookie: string) =>
    await read(await test.anonymous.fetch("/api/session", { headers: { Cookie: cookie } }));
  assert.equal((await session(planted)).status, 401);
  const second = await signInWith(test, "alice", adminPassword, {
    headers: { Cookie: valueOf(cookieOf(first)) },
  });
  assert.notEqual(valueOf(cookieOf(second)), valueOf(cookieOf(first)));
  assert.equal((await session(valueOf(cookieOf(second)))).status, 200);
});

Deno.test("the database holds no token that opens a session", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice");
  const token = valueOf(cookieOf(await signInWith(test, "alice", adminPassword))).split("=")[1]!;
  const rows = await test.app.db.selectFrom("sessions").selectAll().execute();
  assert(rows.length > 0);
  assert(!JSON.stringify(rows).includes(token));
  const stolen = new ApiClient(test.url, rows[0]!.token_hash);
  await assert.rejects(stolen.call("getSession"), { code: "unauthenticated" });
});

Deno.test("requests from other sites' pages are refused whatever their method: CSRF (defect 4)", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice");
  const cookie = valueOf(cookieOf(await signInWith(test, "alice", adminPassword)));
  const status = async (headers: Record<string, string>, method = "DELETE") => {
    const response = await test.anonymous.fetch("/api/session", {
      method,
      headers: { Cookie: cookie, ...headers },
    });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status({ "Sec-Fetch-Site": "cross-site" }), 403);
  assert.equal(await status({ "Sec-Fetch-Site": "same-site" }), 403);
  assert.equal(await status({ Origin: "https://evil.example" }), 403);
  assert.equal(await status({ Origin: "null" }), 403);
  assert.equal(await status({ "Sec-Fetch-Site": "cross-site" }, "GET"), 403);
  assert.equal(await status({ "Sec-Fetch-Site": "same-origin" }, "GET"), 200);
  assert.equal(await status({ Origin: test.url }), 204);
  const foreignSignIn = await signInWith(test, "alice", adminPassword, {
    headers: { Origin: "https://evil.example" },
  });
  assert.equal(foreignSignIn.status, 403);
});

Deno.test("GET and HEAD change nothing: every endpoint that acts has another method", () => {
  const acting =
    /^(create|update|delete|set|put|power|copy|populate|kick|cancel|end|sign|change|heartbeat|bulk|open)/;
  for (const [name, { method }] of Object.entries(api)) {
    if (acting.test(name)) assert.notEqual(method, "GET", name);
  }
});

Deno.test("sign-out, a new password, another role, disabling and deleting end sessions at once", async () => {
  await using test = await startTestDashboard();
  const ended = async (act: (id: string, client: ApiClient) => Promise<unknown>, name: string) => {
    const { id } = await createUser(test, name);
    const client = await test.signIn(name, adminPassword);
    await client.call("getSession");
    await act(id, client);
    await assert.rejects(client.call("getSession"), { code: "unauthenticated" }, name);
  };
  const { admin } = test;
  await ended((_, client) => client.call("signOut"), "u1");
  await ended((id) => admin.call("updateUser", { id, body: { password: "another password" } }), "u2");
  await ended((id) => admin.call("updateUser", { id, body: { role: "operator" } }), "u3");
  await ended((id) => admin.call("updateUser", { id, body: { disabled: true } }), "u4");
  await ended((id) => admin.call("deleteUser", { id }), "u5");
});

Deno.test("changing the own password needs the current one and ends the other sessions only", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice");
  const [here, elsewhere] = [
    await test.signIn("alice", adminPassword),
    await test.signIn("alice", adminPassword),
  ];
  const body = { currentPassword: "wrong", newPassword: "brand new password" };
  await assert.rejects(here.call("changePassword", { body }), { code: "invalid" });
  await here.call("changePassword", { body: { ...body, currentPassword: adminPassword } });
  await here.call("getSession");
  await assert.rejects(elsewhere.call("getSession"), { code: "unauthenticated" });
  await test.signIn("alice", "brand new password");
});

Deno.test("a session ends when its time is up", async () => {
  const clock = { now: Date.now() };
  await using test = await startTestDashboard({ now: () => clock.now });
  const alice = await test.as("alice");
  await alice.call("getSession");
  clock.now += 12 * 3_600_000 + 1;
  await assert.rejects(alice.call("getSession"), { code: "unauthenticated" });
});

Deno.test("every endpoint refuses who is not signed in, and users what is for operators and admins", async () => {
  await using test = await startTestDashboard();
  const clients = {
    none: test.anonymous,
    user: await test.as("u", "user"),
    operator: await test.as("o", "operator"),
  };
  const rank = { none: 0, user: 1, operator: 2 };
  const needs = { public: 0, user: 1, operator: 2, admin: 3 };
  for (const { method, path, access } of Object.values(api) as Endpoint[]) {
    for (const [role, client] of Object.entries(clients)) {
      if (needs[access] <= rank[role as keyof typeof rank]) continue;
      const response = await client.fetch(path.replace(":id", crypto.randomUUID()), { method });
      const { error } = await response.json();
      assert.equal(
        error.code,
        role === "none" ? "unauthenticated" : "forbidden",
        `${role}: ${method} ${path}`,
      );
    }
  }
  for (const path of [plainPaths.events, plainPaths.screenshot(crypto.randomUUID())]) {
    const response = await test.anonymous.fetch(path);
    assert.equal(response.status, 401, path);
    await response.body?.cancel();
  }
});

Deno.test("text with SQL, LIKE and HTML in it is only text, in filters, cursors, sorting and paths (defect 4)", async () => {
  await using test = await startTestDashboard();
  await createUser(test, "alice");
  const nasty = [
    "'",
    `"; DROP TABLE users; --`,
    "%",
    "_",
    "\\",
    "<script>alert(1)</script>",
    "x' UNION SELECT 1 --",
  ];
  for (const q of nasty) {
    assert.deepEqual((await test.admin.call("listUsers", { query: { q } })).items, [], q);
    assert.deepEqual((await test.admin.call("search", { query: { q } })).items, [], q);
    for (const path of ["machines", "users", "audit", "jobs", "hypervisors", "desktop-pools", "leases"]) {
      for (const key of ["q", "cursor"]) {
        const response = await test.admin.fetch(`/api/${path}?${key}=${encodeURIComponent(q)}`);
        assert([200, 400].includes(response.status), `${path} ${key}=${q}: ${response.status}`);
        assert.equal(response.headers.get("content-type")?.split(";")[0], "application/json");
        await response.body?.cancel();
      }
    }
    const unknown = await test.admin.fetch(`/api/users/${encodeURIComponent(q)}`);
    assert.equal(unknown.status, 404);
    await unknown.body?.cancel();
  }
  for (const sort of ["name; DROP TABLE machines", "name--", "(SELECT 1)"]) {
    const response = await test.admin.fetch(`/api/machines?sort=${encodeURIComponent(sort)}`);
    assert.equal(response.status, 400);
    await response.body?.cancel();
  }
  assert.equal((await test.admin.call("listUsers")).total, 2);
});

Deno.test("user names that a shell, LDAP or SQL would read are refused by name of the field (defect 1)", async () => {
  await using test = await startTestDashboard();
  for (
    const username of ["$(id)", "`id`", "a;b", "a b", "a'b", "*", "a)(uid=*", "", "x".repeat(65), "../x"]
  ) {
    const call = test.admin.call("createUser", { body: { username, password: adminPassword } });
    await assert.rejects(call, (error: { code: string; details: { path: string }[] }) => {
      assert.equal(error.code, "invalid");
      assert.equal(error.details[0]?.path, "username");
      return true;
    }, username);
  }
});

Deno.test("bodies that are too large or no JSON are refused", async () => {
  await using test = await startTestDashboard();
  const post = async (body: BodyInit) => {
    const response = await test.anonymous.fetch("/api/session", { method: "POST", body });
    return [response.status, (await response.json()).error.message];
  };
  const large = JSON.stringify({ username: "x", password: "y".repeat(2_000_000) });
  assert.deepEqual(await post(large), [400, "The request body is larger than 1 MiB."]);
  assert.deepEqual(await post("{"), [400, "The request body is not valid JSON."]);
  assert.equal((await post("[]"))[0], 400);
});

Deno.test({
  name: "a body without end is cut off",
  // The HTTP server keeps a timer for a while after it has answered somebody who still sends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using test = await startTestDashboard();
    let sent = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536));
      },
    });
    const outcome = await test.anonymous.fetch("/api/session", { method: "POST", body: endless })
      .then(async (response) => (await read(response)).status, () => "connection closed");
    assert(outcome === 400 || outcome === "connection closed", String(outcome));
    assert(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
  },
});

Deno.test("answers carry the security headers, a request id, and are not cached", async () => {
  await using test = await startTestDashboard();
  for (const path of ["/api/session", "/api/setup", "/nowhere", "/api/nowhere"]) {
    const { headers, body } = await test.anonymous.fetch(path);
    await body?.cancel();
    assert.match(
      headers.get("content-security-policy") ?? "",
      /default-src 'none'.*frame-ancestors 'none'/,
      path,
    );
    assert.doesNotMatch(headers.get("content-security-policy")!, /script-src[^;]*'unsafe-(inline|eval)'/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert.match(headers.get("x-request-id") ?? "", /^[\w-]+$/);
    if (path.startsWith("/api/")) assert.equal(headers.get("cache-control"), "no-store");
  }
});

Deno.test("an unexpected error is a 500 with a request id and no internals", async () => {
  await using test = await startTestDashboard();
  test.app.settings.current = () => {
    throw new Error("secret path /etc/shadow");
  };
  const response = await test.anonymous.fetch("/api/setup");
  const text = await response.text();
  assert.equal(response.status, 500);
  assert.doesNotMatch(text, /shadow/);
  assert.equal(JSON.parse(text).error.requestId, response.headers.get("x-request-id"));
});

Deno.test("what does not exist below /api is a 404 in JSON", async () => {
  await using test = await startTestDashboard();
  const response = await test.admin.fetch("/api/no-such-thing");
  assert.equal(response.status, 404);
  assert.equal((await response.json()).error.code, "not_found");
});
