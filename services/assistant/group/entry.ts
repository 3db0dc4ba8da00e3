import { hash } from 'node:crypto'
import { encodeValue } from '../../../sandbox/index.ts'
import { RequestError, ranked } from '../../host/index.ts'
import type { SharedEntry, Statement } from '../messages.ts'

/** Domain of the signature. */
export const ANSWER = 'answer'
/** Nodes that keep one answer. */
const HOLDERS = 3
const MOST_KEPT_MS = 31 * 24 * 60 * 60_000
const CLOCKS_MS = 10 * 60_000

/** Who of a group keeps the answer to a question: the same for all who reckon it. */
export const holdersOf = (key: Uint8Array, members: readonly string[]): string[] =>
  ranked(Buffer.from(key).toString('hex'), members).slice(0, HOLDERS)

/** What is signed. */
export const signedBytes = (
  key: Uint8Array,
  sealed: Uint8Array,
  { signer, provider, model, created, expires }: Omit<Statement, 'signature'>
): Uint8Array =>
  encodeValue({ key, hash: hash('sha256', sealed, 'buffer'), signer, provider, model, created, expires })

/**
 * Looks at an answer that another node gives.
 *
 * @param signers whose answers count
 * @throws {RequestError} it is nobody's of the group, not what was signed, too old or for too long
 */
export function checkEntry(
  key: Uint8Array,
  { sealed, statement }: SharedEntry,
  {
    signers,
    isSigned,
    now
  }: {
    signers: readonly string[]
    isSigned(peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array): boolean
    now: number
  }
): void {
  const { signer, created, expires, signature } = statement
  if (!signers.includes(signer)) throw new RequestError(`${signer} is not of the group`)
  if (expires <= now || created > now + CLOCKS_MS || expires > now + MOST_KEPT_MS)
    throw new RequestError(`an answer of ${signer} is kept from ${created} to ${expires}, and it is ${now}`)
  if (!isSigned(signer, ANSWER, signedBytes(key, sealed, statement), signature))
    throw new RequestError(`${signer} did not sign this answer`)
}
