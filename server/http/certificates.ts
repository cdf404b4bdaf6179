import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { AppError } from "../../contracts/errors.ts";
import type { DashboardConfig } from "../config.ts";
import { ownNames } from "./own_names.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;
const caDays = 3650;
/** The longest that browsers accept. */
const leafDays = 397;
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

interface KeyAndCertificate {
  certificate: x509.X509Certificate;
  key: CryptoKey;
  keyPem: string;
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
    const [chain, key] = await Promise.all([Deno.readTextFile(certificateFile), Deno.readTextFile(keyFile)]);
    const expiresAt = new x509.X509Certificate(chain).notAfter.getTime();
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
  const ca = await readPair(folder, "ca") ?? await writePair(folder, "ca", await makeCa(now));
  const old = await readPair(folder, "server");
  const leaf = old && await isGood(old, ca, names, now)
    ? old
    : await writePair(folder, "server", await makeLeaf(ca, names, now));
  const caPem = `${ca.certificate.toString("pem")}\n`;
  return {
    chain: `${leaf.certificate.toString("pem")}\n${caPem}`,
    key: leaf.keyPem,
    ca: caPem,
    expiresAt: leaf.certificate.notAfter.getTime(),
  };
}

async function isGood(
  { certificate }: KeyAndCertificate,
  ca: KeyAndCertificate,
  names: string[],
  now: number,
): Promise<boolean> {
  if (certificate.notAfter.getTime() - now < renewBeforeDays * dayMs) return false;
  if (
    !await certificate.verify({ publicKey: await ca.certificate.publicKey.export(), signatureOnly: true })
  ) {
    return false;
  }
  const covered = new Set(
    certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map((name) => name.value) ??
      [],
  );
  return names.every((name) => covered.has(name));
}

async function makeCa(now: number): Promise<KeyAndCertificate> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=KVM-VDI CA of ${Deno.hostname()}`,
    ...validity(now, caDays),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, key: keys.privateKey, keyPem: await exportKey(keys.privateKey) };
}

async function makeLeaf(ca: KeyAndCertificate, names: string[], now: number): Promise<KeyAndCertificate> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "CN=KVM-VDI dashboard",
    issuer: ca.certificate.subject,
    ...validity(now, leafDays),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: ca.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isAddress(value) ? "ip" as const : "dns" as const, value })),
      ),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(ca.certificate.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, key: keys.privateKey, keyPem: await exportKey(keys.privateKey) };
}

const makeKeys = () =>
  crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;

/** Starts a day early for clients whose clock is behind. */
const validity = (now: number, days: number) => ({
  notBefore: new Date(now - dayMs),
  notAfter: new Date(now + (days - 1) * dayMs),
});

/** RFC 5280: positive, at most 20 bytes. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = bytes[0]! & 0x7f | 0x40;
  return bytes.toHex();
}

const isAddress = (name: string) => /^[0-9.]+$/.test(name) || name.includes(":");

async function exportKey(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

async function readPair(folder: string, name: string): Promise<KeyAndCertificate | null> {
  try {
    const certificate = new x509.X509Certificate(await Deno.readTextFile(`${folder}/${name}.pem`));
    const keyPem = await Deno.readTextFile(`${folder}/${name}.key`);
    const pkcs8 = x509.PemConverter.decodeFirst(keyPem);
    return {
      certificate,
      keyPem,
      key: await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]),
    };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new AppError("invalid", `Reading the certificate ${folder}/${name}.pem and its key failed.`, {
      cause,
    });
  }
}

/** The key first: a certificate without its key would never be replaced. */
async function writePair(folder: string, name: string, pair: KeyAndCertificate): Promise<KeyAndCertificate> {
  await writeFile(`${folder}/${name}.key`, pair.keyPem, 0o600);
  await writeFile(`${folder}/${name}.pem`, `${pair.certificate.toString("pem")}\n`, 0o644);
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
