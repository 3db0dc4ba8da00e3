import { deepEqual, equal, ok } from 'node:assert/strict'
import { crcOf } from '../../../services/sas/crc.ts'
import { guarded } from '../../../services/sas/line/guard.ts'
import { createMachine } from '../../../services/sas/machine/machine.ts'
import type { MeterRow } from '../../../services/sas/machine/readings.ts'
import { METERS } from '../../../services/sas/tables/meters.ts'
import { createRandom } from '../../simulation/random.ts'
import { Machine } from './machine.ts'

const HOUR_MS = 3_600_000
/** between two polls of the loop of a line */
const ROUND_MS = 200
/** as long as an answer of a line takes */
const ANSWER_MS = 20
const DOOR = [0x11, 0x12]

/** A machine that is played for an hour, on a line of which so many bytes are wrong. */
async function hour(seed: number, wrong: number) {
  const random = createRandom(seed)
  const machine = new Machine({ address: 1, serial: 'A-17' })
  machine.add(0x00, 99_999_900)
  let now = Date.UTC(2026, 10, 30)
  const end = now + HOUR_MS
  let share = wrong
  let errors = 0
  let changed = 0
  const log: { kind: string; body: Record<string, unknown> }[] = []
  const device = {
    id: 'sas:A-17',
    async event(kind: string, body: never) {
      log.push({ kind, body })
      return undefined
    },
    sample: async () => undefined,
    latest: async () => undefined,
    before: async () => undefined,
    samples: async () => [],
    close() {}
  }
  const noisy = (byte: number): number => {
    if (random() >= share) return byte
    changed++
    return byte ^ (1 + Math.floor(random() * 255))
  }
  const driver = await createMachine({
    lineName: 'line',
    address: 1,
    line: guarded(
      {
        get errors() {
          return errors
        },
        async ask(message) {
          now += ANSWER_MS
          // the first byte says for whom it is: one that reaches another machine acknowledges what nobody heard
          const sent = message.map((byte, i) => (i === 0 ? byte : noisy(byte)))
          const answer = machine.message(sent, now)?.map(noisy)
          if (answer != null && answer.length > 1 && crcOf(answer) !== 0) errors++
          return answer
        }
      },
      () => false
    ),
    devices: { open: async () => device },
    commands: () => ({}),
    due: async () => {},
    onException() {},
    meterSeconds: () => 60,
    now: () => now
  })
  const { signal } = new AbortController()
  const step = async (): Promise<void> => {
    const next = now + ROUND_MS
    await driver.step(signal)
    now = Math.max(now, next)
  }
  while (now < end) {
    // a game in three seconds, sometimes a bill or a door
    if (random() < ROUND_MS / 3_000) machine.play(1 + Math.floor(random() * 5), random() < 0.3 ? 7 : 0)
    if (random() < ROUND_MS / 60_000) machine.bill(0x47)
    if (random() < ROUND_MS / 300_000) for (const each of DOOR) machine.raise(each)
    await step()
  }
  share = 0
  // a last look at the meters
  while (now < end + 3 * 60_000) await step()
  const bodies = <T>(kind: string): T[] => log.filter(each => each.kind === kind).map(({ body }) => body as T)
  return { machine, changed, heard: bodies<{ code: number }>('exception'), rows: bodies<MeterRow>('meters') }
}

describe('sas: an hour with one wrong byte in a hundred', () => {
  it('changes no exception and no meter', async () => {
    for (const seed of [1, 2, 3]) {
      const { machine, changed, heard, rows } = await hour(seed, 0.01)
      ok(changed > 100, `${changed} wrong bytes`)
      deepEqual(
        heard.map(({ code }) => code),
        machine.happened,
        `seed ${seed}`
      )
      const last = rows.at(-1)!
      for (const [code, name] of Object.entries(METERS)) {
        equal(last.totals[name], Number(machine.meter(Number(code))), name)
        const grown = rows.reduce((sum, row) => sum + (row.grown[name] ?? 0), 0)
        equal((rows[0]!.totals[name]! + grown) % 1e8, last.totals[name], name)
      }
      deepEqual(
        rows.flatMap(({ fell }) => (fell == null ? [] : [fell])),
        [{ coinIn: 'rollover' }]
      )
    }
  })
})
