import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { PublishRequest } from "../../contracts/image.ts";
import { distributeVersion } from "./distribute.ts";
import { deleteVersion } from "./gc.ts";
import { cancelRollout, publishVersion } from "./publish.ts";
import { getImage, listImages, updateVersion } from "./render.ts";
import { sealVersion, unsealVersion } from "./seal_version.ts";

type Names =
  | "listImages"
  | "getImage"
  | "cancelRollout"
  | "updateVersion"
  | "deleteVersion"
  | "sealVersion"
  | "unsealVersion"
  | "publishVersion"
  | "distributeVersion";

export const imageRoutes = (app: App): Handlers<Names> => ({
  listImages: ({ query }) => listImages(app, query),
  getImage: async ({ id }) => ({ image: await getImage(app, id) }),
  cancelRollout: async ({ id, actor }) => ({ image: await cancelRollout(app, id, actor) }),
  updateVersion: async ({ id, body, actor }) => ({ version: await updateVersion(app, id, body, actor) }),
  deleteVersion: async ({ id, actor }) => ({ job: await deleteVersion(app, id, actor) }),
  sealVersion: async ({ id, actor }) => ({ job: await sealVersion(app, id, actor) }),
  unsealVersion: async ({ id, actor }) => ({ version: await unsealVersion(app, id, actor) }),
  publishVersion: async ({ id, body, actor }) => ({
    job: await publishVersion(app, id, body ?? PublishRequest.parse({}), actor),
  }),
  distributeVersion: async ({ id, body, actor }) => ({ job: await distributeVersion(app, id, body, actor) }),
});
