import { deepEqual, equal, ok } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { isSignedBy } from '../../../ledger/index.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import type { Batch } from '../../../services/devices/log/batch.ts'
import { type Entry, GENESIS, type Head } from '../../../services/devices/log/entry.ts'
import { HOUR_MS, MINUTE_MS } from '../../../services/devices/series/rollups.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createSeries } from '../../../services/devices/series/series.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchFrom, chain } from './logs.ts'

const random = createRandom(9)
const DEVICE = 'meter:1'
const ALL = [0, Number.MAX_SAFE_INTEGER, 100_000] as const
/** When it is read. */
const NOW = Math.floor(1_800_000_000_000 / HOUR_MS) * HOUR_MS + 30 * MINUTE_MS

interface Said extends Partial<Entry> {
  /** when it really was */
  right: number
}

const COUNTED = { class: 'account', kind: 'counted', body: {} } as const
const READING = { class: 'sample', kind: 'reading' } as const
const valueNow = (): number => Math.floor(random() * 100)

/** A value each minute, with a clock that says something else for a while. */
const minutes = (from: number, count: number, boot: string, clock: Entry['clock'], says: number): Said[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ boot, clock, monoMs: from + i * MINUTE_MS, timeMs: says + i * MINUTE_MS },
    ...{ device: DEVICE, right: 0, ...(i % 10 === 9 ? COUNTED : { ...READING, body: { v: valueNow() } }) }
  }))

function written(said: readonly Said[]): { batch: Batch; head: Head }[] {
  let { hash } = GENESIS
  let from = 0
  const batches: { batch: Batch; head: Head }[] = []
  for (let i = 0; i < said.length; i += 7) {
    const those = said.slice(i, i + 7).map(({ right, ...entry }) => entry)
    const made = batchFrom(from, hash, those)
    hash = made.head.hash
    from += those.length
    batches.push(made)
  }
  return batches
}

/** All of it read at once, or as it comes with starts between. */
async function rows(batches: readonly { batch: Batch; head: Head }[], isLive: boolean) {
  const chains = await openChains({
    ...{ self: 'a witness', isSigned: isSignedBy, there: [], onFound: () => {} },
    disk: () => new MachineDisk(random).open('log')
  })
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  let series = createSeries(db, () => NOW)
  const log = await chains.kept(chain)
  const { signal } = new AbortController()
  for (const { batch, head } of batches) {
    await log.append(batch, head)
    if (!isLive) continue
    if (random() < 0.7) series = createSeries(db, () => NOW)
    await series.catchUp(chains, signal)
  }
  await series.catchUp(chains, signal)
  return {
    hours: series.points(DEVICE, 'v', HOUR_MS, ...ALL),
    minutes: series.points(DEVICE, 'v', MINUTE_MS, ...ALL),
    events: series.events(DEVICE, NOW + HOUR_MS, 1_000).map(({ seq, at }) => [seq, at]),
    device: series.device(chain.agent, DEVICE)
  }
}

describe('devices: a board without a battery for its clock', () => {
  const START = NOW - 10 * HOUR_MS
  const before = minutes(0, 60, 'one', 'ntp', START).map((each, i) => ({
    ...each,
    right: START + i * MINUTE_MS
  }))
  // switched off for four hours; it goes on where its clock was when it was switched off, without a network
  const back = START + 5 * HOUR_MS
  const without = minutes(1_000, 199, 'two', 'unset', START + HOUR_MS).map((each, i) => ({
    ...each,
    right: back + i * MINUTE_MS
  }))
  const set = back + 199 * MINUTE_MS
  const after = minutes(1_000 + 199 * MINUTE_MS, 60, 'two', 'ntp', set).map((each, i) => ({
    ...each,
    right: set + i * MINUTE_MS
  }))
  const said = [...before, ...without, ...after]

  it('has what it wrote before that was set where it belongs, once, however it was read', async () => {
    const batches = written(said)
    const expected = said
      .map(({ right, kind }, seq) => ({ right, kind, seq }))
      .filter(({ kind }) => kind === 'counted')
      .map(({ seq, right }) => [seq, right])
      .reverse()
    const samples = said.filter(({ kind }) => kind === 'reading')
    const atOnce = await rows(batches, false)
    deepEqual(atOnce.events, expected)
    deepEqual(
      atOnce.minutes.map(({ t, n, last }) => [t, n, last]),
      samples.map(({ right, body }) => [Math.floor(right / MINUTE_MS) * MINUTE_MS, 1, body!.v])
    )
    const byHour = Map.groupBy(samples, ({ right }) => Math.floor(right / HOUR_MS) * HOUR_MS)
    for (const { t, n, last, max, mean } of atOnce.hours) {
      const values = byHour.get(t)!.map(({ body }) => body!.v as number)
      deepEqual([n, last, max], [values.length, values.at(-1), Math.max(...values)])
      ok(Math.abs(mean - values.reduce((a, b) => a + b) / values.length) < 1e-9)
    }
    equal(atOnce.hours.length, byHour.size)
    for (let i = 0; i < 3; i++) deepEqual(await rows(batches, true), atOnce)
  })

  it('is believed where its clock is never set', async () => {
    const { events } = await rows(written([...before, ...without]), true)
    equal(events[0]![1], START + HOUR_MS + 189 * MINUTE_MS)
  })
})
