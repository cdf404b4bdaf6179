import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { createUser, deleteUser, getUser, updateUser } from "./service.ts";
import { listUsers } from "./store.ts";

export const userRoutes = (
  app: App,
): Handlers<"listUsers" | "createUser" | "getUser" | "updateUser" | "deleteUser" | "listGroups"> => ({
  listUsers: ({ query }) => listUsers(app.db, query, app.now()),
  createUser: async ({ body, actor }) => ({ user: await createUser(app, body, actor) }),
  getUser: async ({ id }) => ({ user: await getUser(app, id) }),
  updateUser: async ({ id, body, actor }) => ({ user: await updateUser(app, id, body, actor) }),
  deleteUser: ({ id, actor }) => deleteUser(app, id, actor),
  // Groups come from a directory, and there is none yet.
  listGroups: () => Promise.resolve({ items: [], total: 0, nextCursor: null }),
});
