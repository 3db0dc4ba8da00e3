import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { createSigner, type Signer } from '../../ledger/records/keys.ts'
import type { LedgerNetwork } from '../../ledger/records/network.ts'
import { type Body, GENESIS_HASH } from '../../ledger/records/order.ts'
import {
  type HashedSegment,
  ORDER_DOMAIN,
  tipOf,
  VOTE_DOMAIN,
  withHashes
} from '../../ledger/records/segment.ts'

/** RFC 8410: an Ed25519 private key in PKCS #8 is this and the seed. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

export function keyFrom(text: string): PrivateKey {
  const seed = createHash('sha256').update(text).digest()
  const key = createPublicKey(
    createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  )
  const publicKey = Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url')
  return privateKeyFromRaw(Buffer.concat([seed, publicKey]))
}

export const signerFrom = (text: string): Signer => createSigner(keyFrom(text))

export const witnessSigners = Array.from({ length: 4 }, (_, i) => signerFrom(`witness ${i}`))

export const testNetwork: LedgerNetwork = {
  id: 'test-net',
  witnesses: witnessSigners.map(({ account }) => account),
  grantMicro: 1_000_000n,
  grantBits: 0
}

/** A signed run; with `votes`, certified by the first so many witnesses. */
export function runOf(
  signer: Signer,
  orders: Body[],
  {
    seq = 0,
    prev = GENESIS_HASH,
    votes = 0,
    network = testNetwork
  }: { seq?: number; prev?: Uint8Array; votes?: number; network?: LedgerNetwork } = {}
): HashedSegment {
  const bare = { account: signer.account, seq, prev, orders, signature: new Uint8Array(64), votes: [] }
  const run = withHashes(network, bare)
  return {
    ...run,
    signature: signer.sign(ORDER_DOMAIN, tipOf(run)),
    votes: witnessSigners
      .slice(0, votes)
      .map((witness, index) => ({ witness: index, signature: witness.sign(VOTE_DOMAIN, tipOf(run)) }))
  }
}

export const grantOrder: Body = { type: 'grant', timeS: 1, amount: 1_000_000n, nonce: 0 }
export const transferOrder = (to: string, amount: bigint): Body => ({
  type: 'transfer',
  timeS: 2,
  to,
  amount,
  memo: ''
})
