import { z } from "zod";
import { api, type Endpoint, plainPaths } from "../../contracts/api.ts";
import { ErrorBody, httpStatusOf } from "../../contracts/errors.ts";
import { version } from "../../lib/version.ts";

type Json = Record<string, unknown>;

/** The API as an OpenAPI 3.1 document, made from the endpoint table. */
export function openApiDocument(serverUrl: string): Json {
  const paths: Record<string, Json> = {};
  for (const [operationId, endpoint] of Object.entries(api) as [string, Endpoint][]) {
    const path = endpoint.path.replace(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[endpoint.method.toLowerCase()] = operationOf(operationId, endpoint);
  }
  for (const [path, operation] of Object.entries(plainOperations)) paths[path] = { get: operation };
  return {
    openapi: "3.1.0",
    info: {
      title: "KVM-VDI",
      version,
      license: { name: "MIT", identifier: "MIT" },
      description:
        'Sign in with POST /api/session. Browsers get a cookie; with `kind: "token"` the answer has a ' +
        "token for `Authorization: Bearer`. Long operations answer 202 with a job.",
    },
    servers: [{ url: serverUrl }],
    tags: [...new Set(Object.values(api).map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        cookie: { type: "apiKey", in: "cookie", name: "__Host-kvm-vdi" },
      },
      schemas: { Error: schemaOf(ErrorBody, "output") },
    },
  };
}

function operationOf(operationId: string, endpoint: Endpoint): Json {
  const { access, method } = endpoint;
  return {
    operationId,
    tags: [endpoint.tag],
    summary: endpoint.summary,
    description: access === "public" ? "For everybody." : `For the role ${access} and above.`,
    security: access === "public" ? [] : [{ bearer: [] }, { cookie: [] }],
    ...parametersOf(endpoint),
    ...(!isNone(endpoint.body) && {
      requestBody: {
        required: !endpoint.body.safeParse(undefined).success,
        content: { "application/json": { schema: schemaOf(endpoint.body, "input") } },
      },
    }),
    responses: {
      [endpoint.status]: {
        description: endpoint.status === 202 ? "A job goes on; its address is in Location." : "Done.",
        ...(!isNone(endpoint.result) && {
          content: { "application/json": { schema: schemaOf(endpoint.result, "output") } },
        }),
      },
      ...errorsOf(access, method),
    },
  };
}

function parametersOf({ path, query }: Endpoint): Json {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string", format: "uuid" },
  }));
  const schema = isNone(query) ? {} : schemaOf(query, "input");
  const properties = (schema.properties ?? {}) as Record<string, Json>;
  const required = new Set((schema.required ?? []) as string[]);
  const inQuery = Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: required.has(name),
    ...(property.description !== undefined && { description: property.description }),
    schema: property,
  }));
  const parameters = [...inPath, ...inQuery];
  return parameters.length > 0 ? { parameters } : {};
}

function errorsOf(access: Endpoint["access"], method: string): Json {
  const codes: (keyof typeof httpStatusOf)[] = ["invalid"];
  if (access !== "public") codes.push("unauthenticated", "forbidden");
  if (method !== "POST" || access !== "public") codes.push("not_found");
  if (method !== "GET") codes.push("conflict");
  const content = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } };
  return Object.fromEntries(codes.map((code) => [httpStatusOf[code], { description: code, content }]));
}

const isNone = (schema: z.ZodType) => schema.def.type === "undefined";

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return json;
}

const text = (mediaType: string) => ({ "200": { description: "Done.", content: { [mediaType]: {} } } });
const idParameter = [{ name: "id", in: "path", required: true, schema: { type: "string", format: "uuid" } }];
const signedIn = [{ bearer: [] }, { cookie: [] }];

const plainOperations: Record<string, Json> = {
  [plainPaths.events]: {
    tags: ["events"],
    summary: "Server-sent events: a snapshot, then changes",
    security: signedIn,
    responses: text("text/event-stream"),
  },
  [plainPaths.screenshot("{id}")]: {
    tags: ["machines"],
    summary: "A picture of the machine's screen",
    security: signedIn,
    parameters: idParameter,
    responses: text("image/png"),
  },
  [plainPaths.xml("{id}")]: {
    tags: ["machines"],
    summary: "The domain's XML, without secrets",
    security: signedIn,
    parameters: idParameter,
    responses: text("text/xml"),
  },
  [plainPaths.health]: {
    tags: ["operation"],
    summary: "Whether the dashboard works",
    security: [],
    responses: text("application/json"),
  },
  [plainPaths.metrics]: {
    tags: ["operation"],
    summary: "Figures for Prometheus; from this host, or for operators",
    security: signedIn,
    responses: text("text/plain"),
  },
  [plainPaths.certificate]: {
    tags: ["operation"],
    summary: "The dashboard's own CA",
    security: [],
    responses: text("application/x-pem-file"),
  },
};
