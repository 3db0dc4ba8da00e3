import type { Chains } from '../delivery/chains.ts'
import { EntryError } from '../errors.ts'
import type { ChainLog } from '../log/chain-log.ts'
import { decodeEntry, type Entry, hashOf, MOVED } from '../log/entry.ts'

/** Where a chain carries which entries: by six bytes of their hash, as far as it was read. */
interface Carried {
  next: number
  isAll: boolean
  places: Map<number, number>
}
const HASH_PART_BYTES = 6
const known = new WeakMap<ChainLog, Carried>()

/**
 * What an entry says to who reads it: itself, or the one that it carries from a chain before. Nothing where that was
 * read already: in its own chain, or carried by an older one that its agent had lost when it began this.
 */
export async function unfold(entry: Entry, chains: Pick<Chains, 'find' | 'of'>): Promise<Entry | undefined> {
  const { entry: inner } = entry.body
  if (entry.kind !== MOVED || !(inner instanceof Uint8Array)) return entry
  const moved = entryIn(inner)
  // its agent says nonsense, and is read as far as it makes sense
  if (moved == null) return entry
  const hash = hashOf(inner)
  const kept = await chains.find(moved.chain)?.hashAt(moved.seq)
  if (kept != null && Buffer.compare(kept, hash) === 0) return undefined
  const { agent, number } = entry.chain
  for (const log of chains.of(agent)) {
    const isBetween = log.chain.number > moved.chain.number && log.chain.number < number
    if (isBetween && (await carries(log, inner, hash))) return undefined
  }
  return moved
}

function entryIn(bytes: Uint8Array): Entry | undefined {
  try {
    return decodeEntry(bytes)
  } catch (error) {
    if (error instanceof EntryError) return undefined
    throw error
  }
}

/** Whether a chain begins with what it carries, and this is among it. */
async function carries(log: ChainLog, inner: Uint8Array, hash: Uint8Array): Promise<boolean> {
  const carried = known.get(log) ?? { next: 1, isAll: false, places: new Map<number, number>() }
  known.set(log, carried)
  // the oldest of it can have been let go for room
  carried.next = Math.max(carried.next, log.first)
  while (!carried.isAll && carried.next <= log.head.seq) {
    const batch = await log.read(carried.next)
    if (batch == null) break
    for (const bytes of batch.entries) {
      const each = carriedBy(bytes)
      carried.isAll ||= each == null
      if (each == null) break
      carried.places.set(partOf(hashOf(each)), carried.next++)
    }
  }
  const place = carried.places.get(partOf(hash))
  const batch = place == null ? undefined : await log.read(place)
  const found = batch && carriedBy(batch.entries[0]!)
  return found != null && Buffer.compare(found, inner) === 0
}

function carriedBy(bytes: Uint8Array): Uint8Array | undefined {
  const { kind, body } = decodeEntry(bytes)
  return kind === MOVED && body.entry instanceof Uint8Array ? body.entry : undefined
}

const partOf = (hash: Uint8Array): number => Buffer.from(hash).readUIntBE(0, HASH_PART_BYTES)
