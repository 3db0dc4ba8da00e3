import { deepEqual, equal } from 'node:assert/strict'
import type { ChainLog } from '../../../services/devices/log/chain-log.ts'
import { AGENT, decodeEntry, type Entry, encodeEntry, MOVED } from '../../../services/devices/log/entry.ts'
import { unfold } from '../../../services/devices/series/unfold.ts'
import { chain, entryOf } from './logs.ts'

const HASH = new Uint8Array(32)
const old = [1, 2, 3].map(seq => encodeEntry(entryOf(seq, HASH)))
/** An entry of a chain that carries one of another. */
const carrying = (number: number, seq: number, entry: Uint8Array): Entry => ({
  ...entryOf(seq, HASH, { entry }),
  chain: { ...chain, number },
  class: 'account',
  device: AGENT,
  kind: MOVED
})

/** Chain 1, which begins with the entries of chain 0, as far as it is kept from `first` on. */
function carrier(first: number): ChainLog {
  const entries = [
    entryOf(0, HASH),
    ...old.map((entry, i) => carrying(1, i + 1, entry)),
    entryOf(4, HASH)
  ].map(encodeEntry)
  const log: Pick<ChainLog, 'chain' | 'first' | 'head' | 'read'> = {
    chain: { ...chain, number: 1 },
    first,
    head: { seq: entries.length - 1, hash: HASH },
    read: async from =>
      from < first ? undefined : { from, entries: entries.slice(from), signature: new Uint8Array(64) }
  }
  return log as ChainLog
}

describe('devices: an entry that two chains carry', () => {
  it('counts once, also where the chain that carried it first has let go how it began', async () => {
    for (const first of [0, 1, 2]) {
      const log = carrier(first)
      const chains = { find: () => undefined, of: () => [log] }
      for (const entry of old.slice(Math.max(first - 1, 0)))
        equal(await unfold(carrying(2, 7, entry), chains), undefined, `kept from ${first} on`)
    }
  })

  it('counts where no chain before has it', async () => {
    const log = carrier(0)
    const chains = { find: () => undefined, of: () => [log] }
    const other = encodeEntry(entryOf(9, HASH))
    deepEqual(await unfold(carrying(2, 7, other), chains), decodeEntry(other))
    deepEqual(await unfold(carrying(1, 1, old[0]!), chains), decodeEntry(old[0]!))
  })
})
