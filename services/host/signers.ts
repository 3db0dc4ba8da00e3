import type { IsSigned } from './documents.ts'

/* What is done once and needs more than one node: who has signed it, and that it is of now. */

/** So many nodes have to sign what moves money or replaces programs. */
export const SIGNERS = 2
export const NONCE_BYTES = 16
export const NONCE_MS = 60_000
/** Given and not used; the oldest go first. */
const MAX_GIVEN = 1_000

export interface Signature {
  signer: string
  signature: Uint8Array
}

/** Who has signed exactly these bytes, each once, in the order of their signatures. */
export const signersOf = (
  bytes: Uint8Array,
  domain: string,
  signatures: readonly Signature[],
  isSigned: IsSigned
): string[] => [
  ...new Set(
    signatures
      .filter(({ signer, signature }) => isSigned(signer, domain, bytes, signature))
      .map(({ signer }) => signer)
  )
]

/**
 * Numbers that this node gives to who wants something done: each is good once, for a minute, for what it was given for,
 * and none outlives this process. So what carries one is of now, whatever any clock says.
 */
export function createNonces(monoMs: () => number = () => performance.now()) {
  const given = new Map<string, { about: string; at: number }>()
  const keyOf = (nonce: Uint8Array): string => Buffer.from(nonce).toString('hex')
  return {
    give(about: string): Uint8Array {
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
      // who asks for many spoils only what was not used yet
      if (given.size >= MAX_GIVEN) given.delete(given.keys().next().value as string)
      given.set(keyOf(nonce), { about, at: monoMs() })
      return nonce
    },
    /** Whether it is good; it is not any more afterwards. */
    use(nonce: Uint8Array | undefined, about: string): boolean {
      const found = nonce && given.get(keyOf(nonce))
      if (nonce != null) given.delete(keyOf(nonce))
      return found != null && found.about === about && monoMs() - found.at <= NONCE_MS
    }
  }
}

export type Nonces = ReturnType<typeof createNonces>
