import { encode } from '@ipld/dag-cbor'
import type { IsSigned } from '../context.ts'
import { headBytes } from '../log/batch.ts'
import type { ChainId, Head } from '../log/entry.ts'

/** A witness says that all entries of a chain up to `seq` are on its disk, and when. */
export interface Receipt extends Head {
  witness: string
  /** ms since 1970 by the clock of the witness */
  timeMs: number
  signature: Uint8Array
}

/** Domain of a receipt, below the service's own. */
export const RECEIPT_DOMAIN = 'receipt/1'

export const receiptBytes = (chain: ChainId, head: Head, timeMs: number): Uint8Array =>
  encode([headBytes(chain, head), timeMs])

/** Whether the witness gave it. */
export const isReceipt = (
  chain: ChainId,
  { witness, timeMs, signature, ...head }: Receipt,
  isSigned: IsSigned
): boolean => isSigned(witness, RECEIPT_DOMAIN, receiptBytes(chain, head, timeMs), signature)

/** How many receipts make an entry delivered. */
export const COPIES = 2

/** The last entry that so many witnesses have on their disks; -1 for none. */
export function deliveredUpTo(receipts: readonly Pick<Receipt, 'seq'>[], copies = COPIES): number {
  const places = receipts.map(({ seq }) => seq).sort((a, b) => b - a)
  return places[copies - 1] ?? -1
}
