import { deepEqual, equal, rejects } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import type { ChainLog } from '../../../services/devices/log/chain-log.ts'
import { AGENT, decodeEntry, type Entry, encodeEntry, MOVED } from '../../../services/devices/log/entry.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createSeries } from '../../../services/devices/series/series.ts'
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

  it('that is none is read as what it is, and holds nobody up', async () => {
    const entry = carrying(1, 1, new Uint8Array([0xff]))
    deepEqual(await unfold(entry, { find: () => undefined, of: () => [] }), entry)
  })

  it('is read beside a log that cannot be read', async () => {
    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const series = createSeries(db, () => 1_900_000_000_000)
    const whole = { ...carrier(0), chain: { ...chain, number: 1 } }
    const broken = {
      ...whole,
      chain: { ...chain, number: 2 },
      read: () => Promise.reject(new Error('no disk'))
    }
    const chains = { find: () => undefined, of: () => [], all: () => [whole, broken] }
    await rejects(series.catchUp(chains as never, new AbortController().signal), /no disk/)
    equal(series.devices().length, 1)
    db.close()
  })

  it('counts where no chain before has it', async () => {
    const log = carrier(0)
    const chains = { find: () => undefined, of: () => [log] }
    const other = encodeEntry(entryOf(9, HASH))
    deepEqual(await unfold(carrying(2, 7, other), chains), decodeEntry(other))
    deepEqual(await unfold(carrying(1, 1, old[0]!), chains), decodeEntry(old[0]!))
  })
})
