import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { transact } from '../../host/index.ts'
import type { SeenEntry } from '../alerts/watch.ts'
import type { Chains } from '../delivery/chains.ts'
import type { Receipt } from '../delivery/receipt.ts'
import { type Batch, encodeBatch } from '../log/batch.ts'
import type { ChainLog } from '../log/chain-log.ts'
import { DEVICE, READING } from '../log/driver-devices.ts'
import { AGENT, type Body, type ChainId, decodeEntry, type Entry } from '../log/entry.ts'
import { AHEAD_MS } from '../time/clock.ts'
import { createLateClock } from './late-clock.ts'
import { bucketOf, createRollups, HOUR_MS, MINUTE_MS } from './rollups.ts'
import { toJson } from './to-json.ts'
import { unfold } from './unfold.ts'

const EVENTS_KEPT_MS = 90 * 24 * HOUR_MS
/** Less than that is how clocks run. */
const PACE_MS = 1_000
/** Devices of one agent: an agent that invents names fills no memory. */
const MAX_DEVICES = 10_000
/** Entries of one transaction, from however many logs: each costs a commit, and holds others up. */
const MAX_TOGETHER = 512

/** What one log says next. */
interface Part {
  chain: ChainId
  entries: { place: number; entry: Entry }[]
  /** how far it was read then */
  seq: number
}

/** Devices that entries of one transaction are about, each looked for and told of events once. */
type Met = Map<string, { agent: string; device: string; eventAt?: number }>

export interface DeviceRow {
  agent: string
  id: string
  about?: Body
  readings: Body
  readAt?: number
  eventAt?: number
}
export interface EventRow {
  agent: string
  number: number
  seq: number
  at: number
  device: string
  class: string
  kind: string
  body: Body
}
/** What the logs say, for whoever asks: the newest of each device, its events, and its numbers over time. */
export function createSeries(
  db: DatabaseSync,
  now: () => number,
  /** in the transaction of what it is about */
  onEntry: (entry: SeenEntry) => void = () => {}
) {
  // made out of the logs, which are forced to the disk: a power cut costs work, not data
  db.exec('PRAGMA synchronous = NORMAL')
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  function prepared(sql: string) {
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  const run = (sql: string, ...values: SQLInputValue[]) => prepared(sql).run(...values)
  const get = <T>(sql: string, ...values: SQLInputValue[]) => prepared(sql).get(...values) as T | undefined
  const all = <T>(sql: string, ...values: SQLInputValue[]) => prepared(sql).all(...values) as T[]

  const rollups = createRollups({ run, get, all })

  /** when each device changed last, by the count of all changes since the start */
  const changedAt = new Map<string, number>()
  let changes = 0

  /** agents whose newest entry that was read says a time that is to come */
  const ahead = new Map<string, number>()

  const seenUpTo = ({ agent, number }: ChainId): number =>
    get<{ seq: number }>('SELECT seq FROM seen WHERE agent = ? AND number = ?', agent, number)?.seq ?? -1

  function rowOf(agent: string, id: string): DeviceRow | undefined {
    const row = get<StoredDevice>('SELECT * FROM device WHERE agent = ? AND id = ?', agent, id)
    return row && asDevice(row)
  }

  const lateClock = createLateClock({
    run,
    all,
    transact: work => transact(db, work),
    settle: rollups.settle,
    place({ agent, number }, { seq, class: kindOf, device, kind, body, timeMs }, at, setAt) {
      // what no clock could have said counts as of when it was read
      if (at > now() + AHEAD_MS || timeMs > at + AHEAD_MS || timeMs < at - EVENTS_KEPT_MS) return
      if (Math.abs(at - timeMs) <= PACE_MS) return
      if (kindOf !== 'sample')
        run('UPDATE event SET at = ? WHERE agent = ? AND number = ? AND seq = ?', at, agent, number, seq)
      if (get('SELECT 1 FROM device WHERE agent = ? AND id = ?', agent, device) == null) return
      changedAt.set(`${agent} ${device}`, ++changes)
      const when = kind === READING ? 'readAt' : 'eventAt'
      run(
        `UPDATE device SET ${when} = max(coalesce(${when}, 0), ?) WHERE agent = ? AND id = ?`,
        at,
        agent,
        device
      )
      if (kind !== READING) return
      for (const [reading, value] of Object.entries(body))
        if (typeof value === 'number')
          for (const step of [MINUTE_MS, HOUR_MS]) {
            rollups.remove(agent, device, reading, step, timeMs, value)
            // the newest of that time was written when the clock was set
            rollups.add(agent, device, reading, step, at, value, bucketOf(at, step) !== bucketOf(setAt, step))
          }
    }
  })

  function apply(chain: ChainId, place: number, entry: Entry, met: Met): void {
    const { class: kindOf, device, kind, body, timeMs, clock } = entry
    const { agent, number } = chain
    const isAhead = timeMs > now() + AHEAD_MS
    // of a clock without a battery: so long nobody has waited to bring it
    const isDead = clock === 'unset' && timeMs < now() - EVENTS_KEPT_MS
    const at = isAhead || isDead ? now() : timeMs
    // carried entries are of a chain before
    if (entry.seq === place && entry.chain.number === number) lateClock.onEntry(chain, entry)
    if (isAhead) {
      ahead.set(agent, timeMs)
      run('INSERT INTO ahead VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1', agent, number)
    } else ahead.delete(agent)
    onEntry({ agent, number, seq: place, at, class: kindOf, device, kind, body, clock })
    if (kindOf !== 'sample')
      run(
        `INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        agent,
        number,
        place,
        at,
        device,
        kindOf,
        kind,
        toJson(body)
      )
    const key = `${agent} ${device}`
    if (device === AGENT || (!met.has(key) && !isKnown(agent, device))) return
    const about = met.get(key) ?? { agent, device }
    met.set(key, about)
    changedAt.set(key, ++changes)
    if (kind === DEVICE)
      run('UPDATE device SET about = ? WHERE agent = ? AND id = ?', toJson(body), agent, device)
    else if (kind === READING) {
      run(
        `UPDATE device SET readings = json_patch(readings, ?), readAt = max(coalesce(readAt, 0), ?) WHERE agent = ? AND id = ?`,
        toJson(body),
        at,
        agent,
        device
      )
      for (const [reading, value] of Object.entries(body))
        if (typeof value === 'number')
          for (const step of [MINUTE_MS, HOUR_MS]) rollups.add(agent, device, reading, step, at, value)
    } else about.eventAt = at
  }

  function isKnown(agent: string, device: string): boolean {
    if (get('SELECT 1 FROM device WHERE agent = ? AND id = ?', agent, device) != null) return true
    const { n } = get<{ n: number }>('SELECT count(*) AS n FROM device WHERE agent = ?', agent)!
    if (n >= MAX_DEVICES) return false
    run('INSERT INTO device (agent, id) VALUES (?, ?)', agent, device)
    return true
  }

  const newest = (agent: string, device: string, kind: string) =>
    get<{ number: number; seq: number; body: string }>(
      `SELECT number, seq, body FROM event WHERE device = ?1 AND agent = ?2 AND kind = ?3
       ORDER BY number DESC, seq DESC LIMIT 1`,
      device,
      agent,
      kind
    )

  /** What comes behind an entry in one chain; undefined where nothing is new. */
  async function readOn(
    log: ChainLog,
    after: number,
    chains: Pick<Chains, 'find' | 'of'>
  ): Promise<Part | undefined> {
    const { chain } = log
    const from = Math.max(after + 1, log.first)
    if (from > log.head.seq) return undefined
    await lateClock.recall(log, from)
    const batch = await log.read(from)
    if (batch == null) {
      // what is missing comes back from others, and is read then; what its agent had let go never came here
      const next = log.next(from)
      return next == null ? undefined : { chain, entries: [], seq: next - 1 }
    }
    const entries: Part['entries'] = []
    for (const [i, bytes] of batch.entries.entries()) {
      const entry = await unfold(decodeEntry(bytes), chains)
      if (entry != null) entries.push({ place: from + i, entry })
    }
    return { chain, entries, seq: from + batch.entries.length - 1 }
  }

  const takeIn = (parts: readonly Part[]): void =>
    transact(db, () => {
      const met: Met = new Map()
      for (const { chain, entries, seq } of parts) {
        for (const { place, entry } of entries) apply(chain, place, entry, met)
        run('INSERT OR REPLACE INTO seen VALUES (?, ?, ?)', chain.agent, chain.number, seq)
      }
      for (const { agent, device, eventAt } of met.values())
        if (eventAt != null)
          run('UPDATE device SET eventAt = ? WHERE agent = ? AND id = ?', eventAt, agent, device)
    })

  return {
    /** Reads on in all chains until nothing is new. */
    async catchUp(chains: Pick<Chains, 'find' | 'all' | 'of'>, signal: AbortSignal): Promise<void> {
      let parts: Part[] = []
      let size = 0
      const flush = (): void => {
        const together = parts
        parts = []
        size = 0
        if (together.length > 0) takeIn(together)
      }
      try {
        for (const log of chains.all())
          for (let after = seenUpTo(log.chain); !signal.aborted; ) {
            const part = await readOn(log, after, chains)
            if (part == null) break
            if (size + part.entries.length > MAX_TOGETHER) {
              flush()
              await new Promise(setImmediate)
            }
            parts.push(part)
            size += part.entries.length
            after = part.seq
          }
      } finally {
        // a log that cannot be read holds up none before it
        flush()
      }
      await lateClock.moveAll(chains.find)
    },
    /** Lets go of what is too old. */
    tidy(): void {
      rollups.tidy(now())
      run('DELETE FROM event WHERE at < ?', now() - EVENTS_KEPT_MS)
    },

    devices: (): DeviceRow[] => all<StoredDevice>('SELECT * FROM device ORDER BY id, agent').map(asDevice),
    /** Devices that have changed after so many changes, and how many there are by now. */
    changed: (after: number): { rows: DeviceRow[]; changes: number } => ({
      rows: [...changedAt].flatMap(([key, at]) => {
        if (at <= after) return []
        const [agent] = key.split(' ', 1) as [string]
        return rowOf(agent, key.slice(agent.length + 1)) ?? []
      }),
      changes
    }),
    changes: (): number => changes,
    names: (): { agent: string; id: string }[] => all('SELECT agent, id FROM device'),
    device: rowOf,
    points: rollups.points,
    /** The newest first. */
    events: (device: string | undefined, before: number, limit: number): EventRow[] =>
      all<EventRow & { body: string }>(
        `SELECT * FROM event WHERE at < ?1 AND (?2 IS NULL OR device = ?2)
         ORDER BY at DESC, agent, number DESC, seq DESC LIMIT ?3`,
        before,
        device ?? null,
        limit
      ).map(row => ({ ...row, body: JSON.parse(row.body as string) as Body })),

    /** Where the newest event of a kind is. */
    placeOf: newest,
    /** What it says. */
    latest: (agent: string, device: string, kind: string): Body | undefined => {
      const row = newest(agent, device, kind)
      return row && (JSON.parse(row.body) as Body)
    },

    ahead: {
      /** Agents whose clock is ahead as far as was read, and what they say, ms since 1970. */
      now: (): ReadonlyMap<string, number> => ahead,
      /** Entries of a chain whose time was to come when they were read: they count as of then. */
      count: ({ agent, number }: ChainId): number =>
        get<{ n: number }>('SELECT n FROM ahead WHERE agent = ? AND number = ?', agent, number)?.n ?? 0
    },
    receipts: {
      of: (number: number): Receipt[] => all<Receipt>('SELECT * FROM receipt WHERE number = ?', number),
      save: (number: number, { witness, seq, hash, timeMs, signature }: Receipt): void =>
        void run(
          'INSERT OR REPLACE INTO receipt VALUES (?, ?, ?, ?, ?, ?)',
          number,
          witness,
          seq,
          hash,
          timeMs,
          signature
        )
    },
    forks: {
      save: ({ agent, number }: ChainId, batch: Batch): void =>
        void run('INSERT OR IGNORE INTO fork VALUES (?, ?, ?, ?)', agent, number, encodeBatch(batch), now()),
      all: () => all<{ agent: string; number: number; at: number }>('SELECT agent, number, at FROM fork')
    }
  }
}

export type Series = ReturnType<typeof createSeries>

interface StoredDevice {
  agent: string
  id: string
  about: string | null
  readings: string
  readAt: number | null
  eventAt: number | null
}

const asDevice = ({ agent, id, about, readings, readAt, eventAt }: StoredDevice): DeviceRow => ({
  agent,
  id,
  ...(about == null ? {} : { about: JSON.parse(about) as Body }),
  readings: JSON.parse(readings) as Body,
  ...(readAt == null ? {} : { readAt }),
  ...(eventAt == null ? {} : { eventAt })
})
