import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { PolicyError } from '../errors.ts'
import { LISTENER_TLS } from '../tls-files.ts'
import type { Certified, Finding } from './declared.ts'
import { say } from './said.ts'

/*
 * An authority of a school's own, and what it signs for the messenger's listener. Every computer of the school trusts it, so it
 * can speak for addresses of a LAN only (name constraints, RFC 5280 4.2.1.10), whoever has its key.
 */

const DAY_MS = 24 * 3_600_000
const AUTHORITY_MS = 3_650 * DAY_MS
/** What browsers take at most. */
const LISTENER_MS = 825 * DAY_MS
const SOON_MS = 30 * DAY_MS
const MAX_NAME = 64
const KEYS = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const

const HERE = ['127.0.0.1', 'localhost']
const LOCAL_NAMES = ['localhost', 'local', 'lan', 'internal', 'home.arpa']
const LOCAL_NETWORKS = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16]
] as const
const local = new BlockList()
for (const [network, bits] of LOCAL_NETWORKS) local.addSubnet(network, bits, 'ipv4')
const HOST = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i

/**
 * Makes a certificate for addresses of a LAN; none: those that this machine has. `isAnew`: by another authority, in the place of
 * one whose key is somebody else's. The files are the owner's alone.
 *
 * @throws {PolicyError} an address of the internet, or none
 */
export async function certify(
  folder: string,
  {
    school,
    addresses,
    isAnew,
    now
  }: { school: string; addresses: readonly string[]; isAnew: boolean; now: number }
): Promise<Certified> {
  // what x509 is made with
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const wanted = [...new Set([...(addresses.length > 0 ? addresses : ownAddresses()), ...HERE])]
  for (const each of wanted)
    if (!isLocal(each))
      throw new PolicyError(
        `${each.slice(0, 253)} is no address of a LAN (${LOCAL_NETWORKS.map(parts => parts.join('/')).join(', ')}, a name in .local, .lan, .internal); for one of the internet an authority that browsers know gives a certificate: set messenger.certificate and messenger.certificateKey`
      )
  const at = (name: string): string => join(folder, LISTENER_TLS.folder, name)
  await mkdir(join(folder, LISTENER_TLS.folder), { recursive: true, mode: 0o700 })

  // as text it would be parsed
  const named = (what: string) =>
    new x509.Name([{ CN: [{ utf8String: `${what} of ${school}`.slice(0, MAX_NAME) }] }])
  const since = new Date(now - DAY_MS)
  const newKeys = (): Promise<CryptoKeyPair> => crypto.subtle.generateKey(KEYS, true, ['sign', 'verify'])
  const authority = (isAnew ? undefined : await readAuthority(at, now)) ?? (await newAuthority())

  async function newAuthority(): Promise<{ pem: string; key: CryptoKey }> {
    const keys = await newKeys()
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      name: named('Messenger authority'),
      notBefore: since,
      notAfter: new Date(now + AUTHORITY_MS),
      keys,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        new x509.Extension('2.5.29.30', true, localOnly()),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
      ]
    })
    const pem = made.toString('pem')
    await keep(at(LISTENER_TLS.authorityKey), await pemOf(keys.privateKey))
    await keep(at(LISTENER_TLS.authority), pem)
    return { pem, key: keys.privateKey }
  }

  const keys = await newKeys()
  const until = Math.min(now + LISTENER_MS, Date.parse(new X509Certificate(authority.pem).validTo))
  const made = await x509.X509CertificateGenerator.create({
    subject: named('Messenger'),
    issuer: new x509.X509Certificate(authority.pem).subjectName,
    notBefore: since,
    notAfter: new Date(until),
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        wanted.map(value => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }))
      ),
      await x509.AuthorityKeyIdentifierExtension.create(new x509.X509Certificate(authority.pem))
    ]
  })
  await keep(at(LISTENER_TLS.key), await pemOf(keys.privateKey))
  await keep(at(LISTENER_TLS.certificate), `${made.toString('pem')}\n${authority.pem}\n`)
  return {
    addresses: wanted,
    until,
    authority: at(LISTENER_TLS.authority),
    sha256: new X509Certificate(authority.pem).fingerprint256
  }
}

/** What the listener has; undefined where there is no listener. */
export async function readCertificate(
  folder: string,
  { listen, host, certificate }: { listen: boolean; host: string; certificate?: string | undefined }
): Promise<{ pem?: string; isOpen: boolean } | undefined> {
  if (!listen) return undefined
  const isOpen = host !== 'localhost' && host !== '::1' && !host.startsWith('127.')
  try {
    const file = certificate ?? join(folder, LISTENER_TLS.folder, LISTENER_TLS.certificate)
    return { pem: await readFile(file, 'utf8'), isOpen }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { isOpen }
    throw error
  }
}

/** How long the certificate of a listener counts. `pem`: undefined where it has none. Pure. */
export function certificateFinding(pem: string | undefined, isOpen: boolean, now: number): Finding {
  const name = 'certificate'
  const remedy = say`artel messenger cert makes one; then start the node anew`
  if (pem == null)
    return isOpen
      ? { name, state: 'warn', detail: say`there is none: nobody signs in from another machine`, remedy }
      : { name, state: 'ok', detail: say`none is needed: this machine alone is answered` }
  const leftMs = Date.parse(new X509Certificate(pem).validTo) - now
  const detail = say`it counts for ${Math.max(0, Math.floor(leftMs / DAY_MS))} days more`
  const state = leftMs <= 0 ? 'fail' : leftMs <= SOON_MS ? 'warn' : 'ok'
  return { name, state, detail, ...(state === 'ok' ? {} : { remedy }) }
}

async function readAuthority(
  at: (name: string) => string,
  now: number
): Promise<{ pem: string; key: CryptoKey } | undefined> {
  try {
    const [pem, key] = await Promise.all(
      [LISTENER_TLS.authority, LISTENER_TLS.authorityKey].map(name => readFile(at(name), 'utf8'))
    )
    if (Date.parse(new X509Certificate(pem!).validTo) <= now + SOON_MS) return undefined
    return { pem: pem!, key: createPrivateKey(key!).toCryptoKey(KEYS, true, ['sign']) as CryptoKey }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const keep = (file: string, text: string): Promise<void> => writeFile(file, text, { mode: 0o600 })
const pemOf = async (key: CryptoKey): Promise<string> =>
  createPrivateKey({
    key: Buffer.from(await crypto.subtle.exportKey('pkcs8', key)),
    format: 'der',
    type: 'pkcs8'
  }).export({ type: 'pkcs8', format: 'pem' }) as string

function isLocal(address: string): boolean {
  if (isIP(address) !== 0) return !isIPv6(address) && local.check(address)
  if (!HOST.test(address)) return false
  const name = address.toLowerCase()
  return LOCAL_NAMES.some(each => name === each || name.endsWith(`.${each}`))
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap(each => each ?? [])
    .filter(({ family, internal, address }) => family === 'IPv4' && !internal && isLocal(address))
    .map(({ address }) => address)

/** The value of the extension: what is permitted of names and of IPv4 addresses. No other kind of name is ever signed. */
function localOnly(): Uint8Array<ArrayBuffer> {
  const names = LOCAL_NAMES.map(name => tlv(0x30, tlv(0x82, Buffer.from(name))))
  const networks = LOCAL_NETWORKS.map(([network, bits]) => {
    const mask = Buffer.alloc(4)
    mask.writeUInt32BE((0xff_ff_ff_ff << (32 - bits)) >>> 0)
    return tlv(0x30, tlv(0x87, Buffer.from(network.split('.').map(Number)), mask))
  })
  return new Uint8Array(tlv(0x30, tlv(0xa0, ...names, ...networks)))
}

/** DER, of less than 128 bytes or of less than 256. */
function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const value = Buffer.concat(parts)
  return Buffer.concat([
    Buffer.from(value.length < 128 ? [tag, value.length] : [tag, 0x81, value.length]),
    value
  ])
}
