import type { Schedule } from '../contract.ts'
import { parseId } from '../core/grammar.ts'
import { expired, isDue, parsePattern } from '../core/schedule.ts'
import { UsageError } from '../errors.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import type { Power } from './power.ts'
import type { Snapshots } from './snapshots.ts'

const MOST_KEPT = 100
/** A chain is not made longer than this by the clock: its layers are merged by nothing yet. */
const MOST_LAYERS = 200

export interface Schedules {
  /** @param pattern of cron in UTC, `off` for none */
  set(caller: string, id: string, pattern: string, keep: number): Promise<Schedule | undefined>
  /** Takes what is due and lets go of what a schedule keeps no longer. */
  tick(): Promise<void>
}

export function createSchedules(context: Context, power: Power, snapshots: Snapshots): Schedules {
  const { database: db } = context

  async function take({ machine: uuid, ...schedule }: Awaited<ReturnType<typeof records.schedules>>[number]) {
    const known = await records.snapshotsOf(db, uuid)
    const last = Math.max(...known.filter(({ isScheduled }) => isScheduled).map(({ at }) => at), 0)
    if (!isDue(schedule, last, context.now())) return
    const machine = (await records.machineByUuid(db, uuid))!
    // nothing has changed of a machine that is off, once it has a snapshot
    if (!power.live(uuid).observe().isAlive && last > 0) return
    const depths = await Promise.all(
      (await records.disksOf(db, uuid)).map(async ({ top }) => (await records.chainOf(db, top)).length)
    )
    if (Math.max(0, ...depths) >= MOST_LAYERS)
      return context.note(uuid, 'snapshot-skipped', `a disk has ${MOST_LAYERS} layers`)
    const at = new Date(context.now()).toISOString().replace(/[-:]/g, '').slice(0, 15)
    await snapshots.take(machine.owner, machine.id, `auto-${at}`, { isScheduled: true })
    for (const { name } of expired(await records.snapshotsOf(db, uuid), schedule))
      await snapshots.remove(machine.owner, machine.id, name)
  }

  return {
    async set(caller, word, text, keep) {
      const machine = await context.find(caller, parseId(word), 'snapshot')
      if (!Number.isInteger(keep) || keep < 1 || keep > MOST_KEPT)
        throw new UsageError(`keep ${keep} is not a whole number from 1 to ${MOST_KEPT}`)
      const schedule =
        text === 'off' ? undefined : { pattern: parsePattern(text), keep, since: context.now() }
      await db.transaction(queries => records.setSchedule(queries, machine.uuid, schedule))
      await context.describe(machine.uuid)
      await context.note(machine.uuid, 'scheduled', text)
      return schedule
    },
    async tick() {
      for (const schedule of await records.schedules(db))
        await take(schedule).catch((error: Error) =>
          context.log('no scheduled snapshot of %s: %s', schedule.machine, error.message)
        )
    }
  }
}
