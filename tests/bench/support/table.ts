/** Rows of figures, each with its goal, and beside it what was measured for comparison in the same run. */

export interface Row {
  work: string;
  /** What was measured, for people. */
  result: string;
  /** The same without us, for people; empty where there is nothing to compare with. */
  reference: string;
  goal: string;
  met: boolean;
}

export function printTable(rows: readonly Row[]): void {
  const cells = [
    ["work", "measured", "reference in this run", "goal", ""],
    ...rows.map((
      { work, result, reference, goal, met },
    ) => [work, result, reference, goal, met ? "met" : "MISSED"]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const [head, ...body] = cells;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  console.log([line(head!), rule, ...body.map(line)].join("\n"));
}
