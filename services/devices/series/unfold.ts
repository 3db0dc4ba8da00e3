import type { Chains } from '../delivery/chains.ts'
import { decodeEntry, type Entry, hashOf, MOVED } from '../log/entry.ts'

/**
 * What an entry says to who reads it: itself, or the one that it carries from the chain before. Nothing where that chain
 * is kept here with the same entry: then it was read there.
 */
export async function unfold(entry: Entry, chains: Pick<Chains, 'find'>): Promise<Entry | undefined> {
  const { entry: inner } = entry.body
  if (entry.kind !== MOVED || !(inner instanceof Uint8Array)) return entry
  const moved = decodeEntry(inner)
  const kept = await chains.find(moved.chain)?.hashAt(moved.seq)
  return kept != null && Buffer.compare(kept, hashOf(inner)) === 0 ? undefined : moved
}
