import { deepEqual, equal } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { isSignedBy } from '../../../ledger/index.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { HEAD_DOMAIN, headBytes } from '../../../services/devices/log/batch.ts'
import { type Entry, encodeEntry, GENESIS, hashOf } from '../../../services/devices/log/entry.ts'
import { HOUR_MS } from '../../../services/devices/series/rollups.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createSeries } from '../../../services/devices/series/series.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { chain, entryOf, key } from './logs.ts'

const DAY_MS = 24 * HOUR_MS
const NOW = 1_800_000_000_000
/** What a clock without a battery says, and one that somebody sets. */
const CLOCKS = [NOW, NOW + 365 * DAY_MS, NOW - DAY_MS, 0, NOW + 1_000]

describe('devices: clocks that are wrong', () => {
  it('change neither the order of entries nor the sum of what they say', async () => {
    const chains = await openChains({
      self: 'nobody',
      isSigned: isSignedBy,
      disk: () => new MachineDisk(createRandom(1)).open('log'),
      there: [],
      onFound: () => {}
    })
    const log = await chains.kept(chain)
    const values: number[] = []
    let head = GENESIS
    for (let i = 0; i < 500; i++) {
      const timeMs = CLOCKS[Math.floor(i / 10) % CLOCKS.length]! + i
      const value = (i * 7) % 100
      values.push(value)
      const bodies: Partial<Entry>[] = [
        { class: 'sample', kind: 'reading', body: { value } },
        { class: 'account', kind: 'counted', body: { i } }
      ]
      const entries: Uint8Array[] = []
      for (const more of bodies) {
        const seq = head.seq + 1
        const bytes = encodeEntry({ ...entryOf(seq, head.hash), device: 'meter:1', timeMs, ...more })
        entries.push(bytes)
        head = { seq, hash: hashOf(bytes) }
      }
      const from = head.seq - entries.length + 1
      await log.append({ from, entries, signature: key.sign(HEAD_DOMAIN, headBytes(chain, head)) }, head)
    }
    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const seen: number[] = []
    const series = createSeries(
      db,
      () => NOW,
      ({ seq }) => void seen.push(seq)
    )
    await series.catchUp(chains, new AbortController().signal)

    deepEqual(
      seen,
      Array.from({ length: 1_000 }, (_, i) => i),
      'as they were written'
    )
    const points = series.points('meter:1', 'value', HOUR_MS, 0, Number.MAX_SAFE_INTEGER, 10_000)
    const sum = points.reduce((total, { n, mean }) => total + n * mean, 0)
    equal(
      Math.round(sum),
      values.reduce((total, each) => total + each)
    )
    equal(
      points.reduce((total, { n }) => total + n, 0),
      values.length
    )
    equal(points.at(-1)!.t <= NOW, true, 'nothing lies in the future')
    equal(series.ahead.count(chain), 200, 'those of a year ahead')
    deepEqual([...series.ahead.now()], [], 'the newest is right')
    const counted = series.events('meter:1', Number.MAX_SAFE_INTEGER, 1_000)
    deepEqual(
      counted.map(({ body }) => body.i as number).sort((a, b) => a - b),
      values.map((_, i) => i)
    )
    equal(
      (series.latest(chain.agent, 'meter:1', 'counted') as { i: number }).i,
      499,
      'the newest by its place'
    )
  })
})
