import { keyOf, sha256 } from './keys.ts'
import type { LedgerNetwork } from './network.ts'
import type { AccountId } from './types.ts'

const WORK_DOMAIN = 'artel/ledger/grant/1\0'
/** Hashes between two looks at the clock and the signal: about 2 ms. */
const CHUNK = 2_000

/** Whether a nonce earns the grant: SHA-256(domain ‖ network ‖ 0 ‖ key ‖ nonce) starts with `grantBits` zero bits. */
export function hasGrantWork(network: LedgerNetwork, account: AccountId, nonce: number): boolean {
  if (network.grantBits === 0) return true
  const challenge = challengeOf(network, account)
  return isLow(challenge, nonce, network.grantBits)
}

/** Looks for a nonce without blocking the node; 2^grantBits hashes on average. */
export async function findGrantWork(
  network: LedgerNetwork,
  account: AccountId,
  signal?: AbortSignal
): Promise<number> {
  if (network.grantBits === 0) return 0
  const challenge = challengeOf(network, account)
  for (let nonce = 0; ; nonce++) {
    if (isLow(challenge, nonce, network.grantBits)) return nonce
    if (nonce % CHUNK === 0) {
      signal?.throwIfAborted()
      await new Promise(setImmediate)
    }
  }
}

function challengeOf(network: LedgerNetwork, account: AccountId): Buffer {
  return Buffer.concat([Buffer.from(`${WORK_DOMAIN}${network.id}\0`), keyOf(account), Buffer.alloc(8)])
}

function isLow(challenge: Buffer, nonce: number, bits: number): boolean {
  challenge.writeBigUInt64BE(BigInt(nonce), challenge.length - 8)
  const digest = sha256(challenge)
  const head = (digest[0]! << 24) | (digest[1]! << 16) | (digest[2]! << 8) | digest[3]!
  return Math.clz32(head) >= bits
}
