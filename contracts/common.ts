import { z } from "zod";

export const Id = z.uuid().describe("UUID");

/** A Unix time in milliseconds. */
export const UnixMs = z.int().nonnegative().describe("Unix time in milliseconds");

/** Names that are safe as a libvirt domain name, in a file name and in a URL. */
export const Name = z.string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    "use 1 to 63 letters, digits, dots, hyphens or underscores; start and end with a letter or digit",
  );

/** A name for people: any printable text of one line. */
export const Title = z.string().trim().min(1, "must not be empty").max(80, "at most 80 characters")
  // deno-lint-ignore no-control-regex
  .regex(/^[^\u0000-\u001f\u007f]*$/, "must not contain control characters");

export const Notes = z.string().max(4000, "at most 4,000 characters");

export const Mac = z.string().regex(
  /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/,
  "use six lower-case hex pairs, as 52:54:00:12:34:56",
);

/** An absolute path on a hypervisor, without `..` or control characters. */
export const AbsolutePath = z.string().max(1024)
  // deno-lint-ignore no-control-regex
  .regex(/^\/[^\u0000-\u001f]*$/, "must be an absolute path")
  .refine((path) => !path.split("/").includes(".."), "must not contain '..'");

export const Bytes = z.int().nonnegative().describe("bytes");

/** Query parameters of every list. `cursor` comes from `nextCursor`; `offset` jumps to a row instead. */
export const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(200).optional(),
  offset: z.coerce.number().int().min(0).optional(),
  q: z.string().max(200).optional().describe("search text"),
});
export type ListQuery = z.infer<typeof ListQuery>;

/** One page of a list; `total` counts all rows that match the filters. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), total: z.int(), nextCursor: z.string().nullable() });
export type Page<T> = { items: T[]; total: number; nextCursor: string | null };

/** A boolean in a query string. */
export const QueryFlag = z.enum(["true", "false"]).transform((text) => text === "true");
