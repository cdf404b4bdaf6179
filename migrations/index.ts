/** All migrations in order; their number is their place in the list. Never change one that was released: add one. */
import initial from "./0001_initial.sql" with { type: "text" };
import hypervisorsAndImages from "./0002_hypervisors_and_images.sql" with { type: "text" };

export const migrations: readonly { name: string; sql: string }[] = [
  { name: "0001_initial", sql: initial },
  { name: "0002_hypervisors_and_images", sql: hypervisorsAndImages },
];
