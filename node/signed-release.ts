import { execFile } from 'node:child_process'
import { copyFile, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { isSignedBy, type Signer } from '../ledger/index.ts'
import { encodeValue } from '../sandbox/value.ts'
import { hashOfFile, ReleaseError } from '../services/index.ts'

const DOMAIN = 'artel/release'
const READ_MS = 120_000
const MAX_SIGNATURE_BYTES = 4096
/** as tar was told: of a folder, or of what is in it */
const MANIFESTS = ['./package.json', 'package.json']

const signedRelease = z.object({
  version: z.string().min(1).max(64),
  sha256: z.string().regex(/^[\da-f]{64}$/),
  bytes: z.int().min(1),
  by: z.string().max(100).describe('peer id of who says so'),
  signature: z.base64().max(100)
})
export type SignedRelease = z.output<typeof signedRelease>

const signedBytes = ({ version, sha256, bytes }: Omit<SignedRelease, 'by' | 'signature'>): Uint8Array =>
  encodeValue([version, sha256, bytes])
export const signatureFile = (path: string): string => `${path}.sig`

/**
 * Writes beside a packed release whose it is: who has the key says that it is good.
 *
 * @throws {ReleaseError} it cannot be read, or has no version
 */
export async function signRelease(path: string, { account, sign }: Signer): Promise<SignedRelease> {
  const version = await versionIn(path)
  const about = { version, sha256: await hashOfFile(path), bytes: (await stat(path)).size }
  const signature = Buffer.from(sign(DOMAIN, signedBytes(about))).toString('base64')
  const signed = { ...about, by: account, signature }
  await writeFile(signatureFile(path), `${JSON.stringify(signed)}\n`)
  return signed
}

/**
 * Copies a packed release to `into` and looks whether it is what one of `signers` has signed. Nothing of it is executed.
 *
 * @throws {ReleaseError} it is not; then there is no copy
 */
export async function takeRelease(
  path: string,
  into: string,
  signers: readonly string[]
): Promise<SignedRelease> {
  const about = await readSignature(path)
  const { by, sha256, bytes, signature } = about
  if (!signers.includes(by))
    throw new ReleaseError(
      `${path} is signed by ${by}, whose releases are not taken here; add it to the setting releaseSigners, or sign it yourself: artel release sign ${path}`
    )
  if (!isSignedBy(by, DOMAIN, signedBytes(about), Buffer.from(signature, 'base64')))
    throw new ReleaseError(`${signatureFile(path)} is not signed by ${by}; get both files anew`)
  const draft = `${into}.part`
  try {
    // what is looked at is what is unpacked
    await copyFile(path, draft).catch(error => unreadable(path, error))
    if ((await stat(draft)).size !== bytes || (await hashOfFile(draft)) !== sha256)
      throw new ReleaseError(`${path} is not what ${by} has signed; get it anew`)
    await rename(draft, into)
  } finally {
    await rm(draft, { force: true })
  }
  return about
}

async function readSignature(path: string): Promise<SignedRelease> {
  const file = signatureFile(path)
  try {
    if ((await stat(file)).size > MAX_SIGNATURE_BYTES) throw new Error('it is too long')
    return signedRelease.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    throw new ReleaseError(
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? `${file} is not there: nobody says that ${path} is good; artel release sign ${path} makes it`
        : `${file} is no signature of a release; get it anew, or make it: artel release sign ${path}`
    )
  }
}

async function versionIn(path: string): Promise<string> {
  // tar fails where one of both is missing, and has said what the other holds
  const read = await promisify(execFile)('tar', ['-xzOf', path, ...MANIFESTS], { timeout: READ_MS }).catch(
    (error: { stdout?: string }) => error
  )
  try {
    return signedRelease.shape.version.parse((JSON.parse(read.stdout ?? '') as { version?: unknown }).version)
  } catch {
    throw new ReleaseError(`${path} is no packed release: its package.json cannot be read, or has no version`)
  }
}

const unreadable = (path: string, { code }: NodeJS.ErrnoException): never => {
  throw new ReleaseError(`${path} cannot be read (${code})`)
}
