import type { LedgerNetwork } from '../records/network.ts'
import type { Item, Store } from '../store/store.ts'
import { isOver } from '../time.ts'
import type { Replica } from './replica.ts'

/** A witness waits this long per rank for those before it to write an item: written once, and with f bad ones within 2 s. */
const RANK_DELAY_MS = 750
/** Bytes of items in one entry, unless a single item is larger. */
const MAX_BATCH_BYTES = 192 * 1024
const MAX_BATCH_ITEMS = 1_024

export interface WriterInit {
  network: LedgerNetwork
  witness: number
  store: Store
  now(): number
  replica(): Replica
  /** Takes items as written to a log. */
  take(items: Item[]): void
}

/** Writes to the own log of a witness what is in no log yet and is this witness's turn, in one entry. */
export async function appendDue(init: WriterInit): Promise<void> {
  const { network, witness, store, now, replica, take } = init
  const count = network.witnesses.length
  const items: Item[] = []
  let size = 0
  for (const { item, account, added } of store.unlogged(MAX_BATCH_ITEMS)) {
    const rank = (witness - firstWriter(account, count) + count) % count
    if (!isOver(added, rank * RANK_DELAY_MS, now())) continue
    if (size > 0 && size + item[1].length > MAX_BATCH_BYTES) break
    items.push(item)
    size += item[1].length
  }
  if (items.length === 0) return
  const target = replica()
  await target.append(witness, items)
  // in a log of an epoch that ended meanwhile they do not count
  if (target === replica()) take(items)
}

/** Spreads the accounts over the witnesses. */
const firstWriter = (key: string, count: number): number => key.charCodeAt(key.length - 1) % count
