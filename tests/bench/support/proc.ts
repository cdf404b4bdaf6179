/** What the kernel says about a process. */

const ticksPerSecond = 100;

/** CPU time that a process has used so far, all its threads. */
export function cpuMs(pid: number): number {
  // The name in parentheses may hold anything; fields 14 and 15 of proc(5) are counted after it.
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1000 / ticksPerSecond;
}

export function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Number(kib) / 1024;
}
