/** Parses `domstats --raw`: `Domain: 'NAME'` and indented `key=value` lines. */
export function parseDomainStats(text: string): Map<string, Map<string, string>> {
  const domains = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const line of text.split("\n")) {
    const name = /^Domain: '(.*)'$/.exec(line)?.[1];
    if (name !== undefined) {
      current = new Map();
      domains.set(name, current);
      continue;
    }
    const [, key, value] = /^ {2}([a-z0-9._-]+)=(.*)$/i.exec(line) ?? [];
    if (key !== undefined && value !== undefined) current?.set(key, value);
  }
  return domains;
}

/** Parses the table of `domifaddr`. Interface names come from the guest: only the end of a line is read. */
export function parseAddresses(text: string): string[] {
  const found = [...text.matchAll(/\s(?:ipv4|ipv6)\s+([0-9a-f.:]{2,45})\/\d{1,3}\s*$/gim)]
    .map((match) => match[1] ?? "");
  return [...new Set(found)].filter((address) => !/^(127\.|::1$|fe80:|169\.254\.)/i.test(address)).slice(
    0,
    32,
  );
}
