import { PeerError } from '../../host/index.ts'
import type { Log } from '../context.ts'
import type { DeviceRow } from '../series/series.ts'
import { pause } from '../time/pause.ts'

/** So long after somebody has looked devices elsewhere are watched; who looks on says so again. */
const LOOKED_MS = 90_000
const AGAIN_MS = 5_000
/** Who looks waits so long for those that answer. */
const FIRST_MS = 2_000
const MAX_AGENTS = 256
/** Of all agents: what others say fills no memory. */
const MAX_ROWS = 10_000

export interface LiveInit {
  /** nodes beside devices that this one may read, and whose logs it does not keep */
  agents(): readonly string[]
  /** What its devices say now, then those that change; an empty list is a sign of life. */
  ask(agent: string, signal: AbortSignal): AsyncIterable<Omit<DeviceRow, 'agent'>[]>
  /** somebody may tell what has changed */
  changed(): void
  signal: AbortSignal
  log: Log
}

/** Devices of other nodes as they are now, while somebody looks; nothing of it is kept. */
export function createLive({ agents, ask, changed, signal, log }: LiveInit) {
  const known = new Map<string, { row: DeviceRow; at: number }>()
  /** resolve once an agent has answered for the first time, with whatever */
  const watched = new Map<string, Promise<void>>()
  let lookedAt = Number.NEGATIVE_INFINITY
  let count = 0

  const isWanted = (agent: string): boolean =>
    performance.now() - lookedAt < LOOKED_MS && agents().includes(agent)

  function put(agent: string, rows: readonly Omit<DeviceRow, 'agent'>[]): void {
    for (const row of rows) {
      const key = `${agent} ${row.id}`
      if (known.has(key) || known.size < MAX_ROWS) known.set(key, { row: { ...row, agent }, at: ++count })
    }
    if (rows.length > 0) changed()
  }

  function forget(agent: string): void {
    for (const [key, { row }] of known) if (row.agent === agent) known.delete(key)
  }

  async function watch(agent: string, answered: () => void): Promise<void> {
    while (isWanted(agent) && !signal.aborted) {
      try {
        for await (const rows of ask(agent, signal)) {
          put(agent, rows)
          answered()
          if (!isWanted(agent)) break
        }
      } catch (error) {
        // it says no; one that cannot be reached is as it was, and its readings have their time
        if (error instanceof PeerError) forget(agent)
        log('%s does not tell how its devices are: %s', agent, (error as Error).message)
      }
      answered()
      if (isWanted(agent)) await pause(AGAIN_MS, signal)
    }
    watched.delete(agent)
    forget(agent)
  }

  return {
    /** Somebody looks. */
    look(): void {
      lookedAt = performance.now()
      for (const agent of agents().slice(0, MAX_AGENTS)) {
        if (watched.has(agent)) continue
        const { promise, resolve } = Promise.withResolvers<void>()
        watched.set(agent, promise)
        void watch(agent, resolve)
      }
    },
    /** Resolves when those that answer have. */
    async answered(): Promise<void> {
      if (watched.size > 0) await Promise.race([Promise.all(watched.values()), pause(FIRST_MS, signal)])
    },
    devices: (): DeviceRow[] => [...known.values()].map(({ row }) => row),
    changes: (): number => count,
    changed: (after: number): { rows: DeviceRow[]; changes: number } => ({
      rows: [...known.values()].filter(({ at }) => at > after).map(({ row }) => row),
      changes: count
    })
  }
}
