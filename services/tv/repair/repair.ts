import type { DatabaseSync } from 'node:sqlite'
import { isIn } from '../../host/index.ts'
import { operationNamed } from '../operations/table.ts'
import type { Tv } from '../tv.ts'
import { type Ailment, type Done, nextStep, type Step } from './decide.ts'

/** a cable that was pulled for a moment is no ailment */
const DOWN_MS = 60_000
const FAILED_IN_A_ROW = 3
const DAY_MS = 86_400_000
const OPERATION: Readonly<Record<Step, string>> = {
  player: 'player.restart',
  reboot: 'system.reboot',
  relay: 'power.cycle'
}

export interface RepairInit {
  db: DatabaseSync
  tvs: ReadonlyMap<string, Pick<Tv, 'about' | 'lamp' | 'readings' | 'perform' | 'note' | 'place'>>
  /** when it may be done; none: never */
  hours(): readonly string[]
  hasRelay(tv: string): boolean
  isHeld(tv: string): boolean
  /** showings that failed, one after the other */
  failures(tv: string): number
  /** its screen is black, or stands still */
  hasFault(tv: string): boolean
  /** somebody has to look after it; undefined: no more */
  help(tv: string, why: string | undefined): void
  now(): number
}

/** Does something about TVs that do not answer, or do not show what they should. */
export function createRepair({
  db,
  tvs,
  hours,
  hasRelay,
  isHeld,
  failures,
  hasFault,
  help,
  now
}: RepairInit) {
  const note = db.prepare('INSERT INTO repair VALUES (?, ?, ?)')
  const of = db.prepare('SELECT at, step FROM repair WHERE tv = ? ORDER BY at')
  const newest = db.prepare('SELECT max(at) AS at FROM repair WHERE tv = ?')
  const forget = db.prepare('DELETE FROM repair WHERE at < ?')
  const downSince = new Map<string, number>()

  function ailmentOf(tv: Pick<Tv, 'lamp' | 'readings'>, name: string): Ailment | undefined {
    // whose power is cut was meant to be off, and whose screen is off has nothing to show
    if (tv.lamp !== 'shell') {
      const since = downSince.get(name) ?? now()
      downSince.set(name, since)
      return now() - since >= DOWN_MS && tv.readings.relay !== 'off' ? 'down' : undefined
    }
    downSince.delete(name)
    return failures(name) >= FAILED_IN_A_ROW || hasFault(name) ? 'idle' : undefined
  }

  function besideAt(name: string, platform: string | undefined): number | undefined {
    if (platform == null) return undefined
    const times = [...tvs.values()]
      .filter(({ about, place }) => place.name !== name && about.platform === platform)
      .map(({ place }) => (newest.get(place.name) as { at: number | null }).at ?? 0)
    return times.length === 0 ? undefined : Math.max(...times)
  }

  return {
    /** Looks at one TV, and does one step where it is time for one. */
    async look(name: string, signal: AbortSignal): Promise<void> {
      const tv = tvs.get(name)!
      const ailment = ailmentOf(tv, name)
      if (ailment == null) return help(name, undefined)
      if (hours().length === 0 || !isIn(hours(), now()) || isHeld(name)) return
      const step = nextStep({
        ailment,
        hasRelay: hasRelay(name),
        done: of.all(name) as unknown as Done[],
        besideAt: besideAt(name, tv.about.platform),
        now: now()
      })
      if (step === 'help')
        return help(name, ailment === 'down' ? 'it does not answer' : 'it does not show what it should')
      if (step == null) return
      // before it is done: a crash does not make it more often
      note.run(name, now(), step)
      forget.run(now() - 2 * DAY_MS)
      let why: string | undefined
      try {
        await tv.perform(operationNamed(OPERATION[step])!, {}, signal)
      } catch (error) {
        why = (error as Error).message.slice(0, 300)
      }
      await tv.note('repair', { step, ailment, ...(why == null ? { is: 'done' } : { is: 'failed', why }) })
    }
  }
}
