import { X509Certificate } from "node:crypto";
import { AppError } from "../../contracts/errors.ts";
import type { DashboardConfig } from "../config.ts";
import type { Pem } from "./make_certificate.ts";
import { isAddress, ownNames } from "./own_names.ts";

const dayMs = 86_400_000;
const renewBeforeDays = 30;

export interface Certificate {
  /** PEM, the leaf first. */
  chain: string;
  /** PEM, PKCS #8 */
  key: string;
  /** The dashboard's own CA, for download; null with a certificate of the admin's. */
  ca: string | null;
  /** Unix ms */
  expiresAt: number;
}

/** Where the listener's certificate comes from: the admin's files, the own CA, or nowhere with plain HTTP. */
export class CertificateSource {
  private constructor(
    public current: Certificate | null,
    private readonly read: () => Promise<Certificate | null>,
  ) {}

  static async open(config: DashboardConfig, folder: string, now: () => number): Promise<CertificateSource> {
    const read = async () => {
      if (config.insecureHttp) return null;
      const { certificateFile, certificateKeyFile } = config;
      return certificateFile !== null && certificateKeyFile !== null
        ? await readOwnCertificate(certificateFile, certificateKeyFile)
        : await ensureCertificate(folder, await ownNames(config), now());
    };
    return new CertificateSource(await read(), read);
  }

  /** Looks again; says whether there is another certificate now. */
  async renew(): Promise<boolean> {
    const next = await this.read();
    if (next === null || next.chain === this.current?.chain) return false;
    this.current = next;
    return true;
  }
}

/** Reads a certificate that the admin provides. @throws {AppError} `invalid` with the file and the reason. */
export async function readOwnCertificate(certificateFile: string, keyFile: string): Promise<Certificate> {
  try {
    const chain = await Deno.readTextFile(certificateFile);
    const key = await Deno.readTextFile(keyFile);
    const expiresAt = endOf(chain);
    return { chain, key, ca: null, expiresAt };
  } catch (cause) {
    throw new AppError(
      "invalid",
      `Reading the certificate ${certificateFile} with ${keyFile} failed: ${cause}`,
      {
        cause,
      },
    );
  }
}

/**
 * The dashboard's certificate from its own CA in `folder`. Both are made when they are missing; the certificate is
 * renewed when it ends soon or does not cover all of `names` (host names and IP addresses).
 */
export async function ensureCertificate(folder: string, names: string[], now: number): Promise<Certificate> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  // Making certificates takes a large library; most starts find good ones and do without.
  const maker = () => import("./make_certificate.ts");
  const ca = await readPair(folder, "ca") ?? await writePair(folder, "ca", await (await maker()).makeCa(now));
  const old = await readPair(folder, "server");
  const leaf = old && isGood(old.certificate, ca.certificate, names, now)
    ? old
    : await writePair(folder, "server", await (await maker()).makeLeaf(ca, names, now));
  return {
    chain: leaf.certificate + ca.certificate,
    key: leaf.key,
    ca: ca.certificate,
    expiresAt: endOf(leaf.certificate),
  };
}

const endOf = (pem: string) => new Date(new X509Certificate(pem).validTo).getTime();

function isGood(leafPem: string, caPem: string, names: string[], now: number): boolean {
  const leaf = new X509Certificate(leafPem);
  const covers = (name: string) =>
    (isAddress(name) ? leaf.checkIP(name) : leaf.checkHost(name)) !== undefined;
  return endOf(leafPem) - now >= renewBeforeDays * dayMs && names.every(covers) &&
    leaf.verify(new X509Certificate(caPem).publicKey);
}

async function readPair(folder: string, name: string): Promise<Pem | null> {
  try {
    const certificate = await Deno.readTextFile(`${folder}/${name}.pem`);
    const key = await Deno.readTextFile(`${folder}/${name}.key`);
    return { certificate, key };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new AppError("invalid", `Reading the certificate ${folder}/${name}.pem and its key failed.`, {
      cause,
    });
  }
}

/** The key first: a certificate without its key would never be replaced. */
async function writePair(folder: string, name: string, pair: Pem): Promise<Pem> {
  await writeFile(`${folder}/${name}.key`, pair.key, 0o600);
  await writeFile(`${folder}/${name}.pem`, pair.certificate, 0o644);
  return pair;
}

async function writeFile(path: string, text: string, mode: number): Promise<void> {
  const partial = `${path}.new`;
  await Deno.remove(partial).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.writeTextFile(partial, text, { mode, createNew: true });
  await Deno.rename(partial, path);
}
