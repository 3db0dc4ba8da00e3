import { encode } from '@ipld/dag-cbor'
import type { IsSigned } from '../context.ts'
import { HEAD_DOMAIN, headBytes } from '../log/batch.ts'
import type { ChainId, Head } from '../log/entry.ts'

/** A witness says that all entries of a chain up to `seq` are on its disk, and when. */
export interface Receipt extends Head {
  witness: string
  /** ms since 1970 by the clock of the witness */
  timeMs: number
  signature: Uint8Array
  /** Of the agent, where the witness has seen this head and nothing of what the log says. */
  headSignature?: Uint8Array
}

/** Domains of a receipt, below the service's own: of who keeps the entries, and of who has the hash only. */
export const RECEIPT_DOMAIN = 'receipt/1'
export const HASH_DOMAIN = 'hash-receipt/1'

export const receiptBytes = (chain: ChainId, head: Head, timeMs: number): Uint8Array =>
  encode([headBytes(chain, head), timeMs])

/** Whether the witness gave it, and for a head that the agent has signed. */
export function isReceipt(chain: ChainId, receipt: Receipt, isSigned: IsSigned): boolean {
  const { witness, timeMs, signature, headSignature, ...head } = receipt
  const domain = headSignature == null ? RECEIPT_DOMAIN : HASH_DOMAIN
  return (
    isSigned(witness, domain, receiptBytes(chain, head, timeMs), signature) &&
    (headSignature == null || isSigned(chain.agent, HEAD_DOMAIN, headBytes(chain, head), headSignature))
  )
}

/** How many receipts make an entry delivered. */
export const COPIES = 2

/** The last entry that so many witnesses have on their disks; -1 for none. */
export function deliveredUpTo(receipts: readonly Pick<Receipt, 'seq'>[], copies = COPIES): number {
  const places = receipts.map(({ seq }) => seq).sort((a, b) => b - a)
  return places[copies - 1] ?? -1
}
