import { deepEqual, equal, ok } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { isSignedBy } from '../../../ledger/index.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { type ClockState, GENESIS } from '../../../services/devices/log/entry.ts'
import { createKeepRoom } from '../../../services/devices/log/keep-room.ts'
import { HOUR_MS } from '../../../services/devices/series/rollups.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createSeries } from '../../../services/devices/series/series.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchFrom, chain } from './logs.ts'

const DAY_MS = 24 * HOUR_MS
const NOW = 1_800_000_000_000

/** A log of ten segments in the room of a node; `isOwn`: the node that writes it. */
async function open(isOwn: boolean, clock: ClockState, timeMs: number) {
  const chains = await openChains({
    ...{ self: isOwn ? chain.agent : 'a witness', isSigned: isSignedBy, there: [], segmentBytes: 100 },
    disk: () => new MachineDisk(createRandom(1)).open('log'),
    onFound: () => {}
  })
  const log = await chains.kept(chain)
  let { hash } = GENESIS
  for (let i = 0; i < 10; i++) {
    const { batch, head } = batchFrom(i, hash, [{ clock, timeMs: timeMs + i, class: 'account', kind: 'k' }])
    await log.append(batch, head)
    hash = head.hash
  }
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  const node = { now: NOW, delivered: -1, isFull: false }
  const room = createKeepRoom({
    ...{ db, chains, self: isOwn ? chain.agent : 'a witness', now: () => node.now, log: () => {} },
    keepMs: () => 30 * DAY_MS,
    pressure: () => (node.isFull ? 'thin' : 'none'),
    isDelivered: (_, seq) => seq <= node.delivered
  })
  return { log, node, room, db, chains }
}

describe('devices: what is let go', () => {
  it('of a log whose clock nobody has set is what is here for long, not what says that it is old', async () => {
    const { log, node, room } = await open(false, 'unset', 0)
    await room.round()
    equal(log.first, 0, 'it has just come')
    node.now += 29 * DAY_MS
    await room.round()
    equal(log.first, 0)
    node.now += 2 * DAY_MS
    await room.round()
    equal(log.first, 9, 'all but the newest')
  })

  it('is what is old where a clock is right, and nothing because it is ahead', async () => {
    const right = await open(false, 'ntp', NOW - 31 * DAY_MS)
    await right.room.round()
    equal(right.log.first, 9)
    const ahead = await open(false, 'ntp', NOW + 365 * DAY_MS)
    await ahead.room.round()
    equal(ahead.log.first, 0)
    ahead.node.now += 31 * DAY_MS
    await ahead.room.round()
    equal(ahead.log.first, 9)
  })

  it('of the own log is what two witnesses have, and nothing because the clock was set', async () => {
    const { log, node, room } = await open(true, 'unset', 0)
    node.now = 0
    await room.round()
    Object.assign(node, { now: NOW, delivered: 5 })
    room.moved(NOW)
    await room.round()
    equal(log.first, 0)
    node.isFull = true
    await room.round()
    equal(log.first, 6, 'as much as they have')
  })

  it('is no event of a clock that was never set', async () => {
    const { db, chains } = await open(false, 'unset', 0)
    const series = createSeries(db, () => NOW)
    await series.catchUp(chains, new AbortController().signal)
    series.tidy()
    const events = series.events('host:1', NOW + 1, 100)
    equal(events.length, 10)
    ok(events.every(({ at }) => at === NOW))
    deepEqual(series.latest(chain.agent, 'host:1', 'k'), { v: 9 })
  })
})
