import type { CompiledQuery } from "kysely";
import type { Db } from "./schema.ts";

/** Where a value goes in a query that is built only once. */
class Slot {
  constructor(readonly index: number) {}
}

/**
 * Builds a query once and then only fills its values in: for the few queries that run thousands of times a second,
 * where building costs several times what SQLite needs to answer.
 *
 *     const findName = prepare((db: Db, id: string) => db.selectFrom("users").where("id", "=", id).select("name"));
 *     const [row] = await findName(app.db, id);
 *
 * @param build must use each of its values only as a value of the query: it sees placeholders
 */
export function prepare<Values extends unknown[], Row>(
  build: (db: Db, ...values: Values) => { compile(): CompiledQuery<Row> },
): (db: Db, ...values: Values) => Promise<Row[]> {
  let compiled: CompiledQuery<Row> | undefined;
  return async (db, ...values) => {
    compiled ??= build(db, ...values.map((_, index) => new Slot(index)) as Values).compile();
    const parameters = compiled.parameters.map((value) =>
      value instanceof Slot ? values[value.index] : value
    );
    return (await db.executeQuery<Row>({ ...compiled, parameters })).rows;
  };
}
