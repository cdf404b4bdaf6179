/** Appends what loader.js reads to an executable: the program, gzipped files, an index, and a mark at the very end. */
export async function appendParts(
  path: string,
  parts: { program: Uint8Array; files: { name: string; gzipBytes: Uint8Array }[] },
): Promise<void> {
  using file = await Deno.open(path, { append: true });
  let offset = (await file.stat()).size;
  const append = async (bytes: Uint8Array): Promise<[offset: number, length: number]> => {
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    offset += bytes.length;
    return [offset - bytes.length, bytes.length];
  };
  const program = await append(parts.program);
  const files: Record<string, [number, number]> = {};
  for (const { name, gzipBytes } of parts.files) files[name] = await append(gzipBytes);
  const [, indexBytes] = await append(new TextEncoder().encode(JSON.stringify({ program, files })));
  const end = new Uint8Array(16);
  end.set(new TextEncoder().encode("KVMVDI01"));
  new DataView(end.buffer).setBigUint64(8, BigInt(indexBytes), true);
  await append(end);
  await file.sync();
}
