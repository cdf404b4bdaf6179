/** The dashboard's own SSH keys. */
import type { App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { Handlers } from "../http/endpoint.ts";

export const keyRoutes = (app: App): Handlers<"listOwnKeys" | "createOwnKey"> => ({
  listOwnKeys: () => Promise.resolve({ items: app.ownKeys.list() }),
  createOwnKey: async ({ body, actor }) => {
    const key = await app.ownKeys.create(body.algorithm);
    await audit(app, {
      actor,
      action: "ssh-key.create",
      subjectName: key.algorithm,
      detail: key.fingerprint,
    });
    return { key };
  },
});
