import { deepEqual, equal, ok } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { type Done, nextStep, PAUSE_MS } from '../../../services/tv/repair/decide.ts'
import { createRepair } from '../../../services/tv/repair/repair.ts'
import { MIGRATIONS } from '../../../services/tv/schema.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const START = Date.parse('2026-12-01T08:00:00Z')
const { signal } = new AbortController()

/** TVs of one platform, with a clock of the test. */
function platform(
  names: string[],
  { hours = ['1-7 00:00-24:00 UTC'], relays = names }: { hours?: string[]; relays?: string[] } = {}
) {
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  let now = START
  const did: { tv: string; at: number; what: string }[] = []
  const notes: object[] = []
  const helped = new Map<string, string | undefined>()
  const failures = new Map<string, number>()
  const held = new Set<string>()
  const faults = new Set<string>()
  const tvs = new Map(
    names.map(name => [
      name,
      {
        place: { name },
        about: { platform: '1', name },
        lamp: 'shell' as string,
        readings: {} as Record<string, string>,
        perform: async (operation: { name: string }) =>
          void did.push({ tv: name, at: now, what: operation.name }),
        note: async (_: string, body: object) => void notes.push(body)
      }
    ])
  )
  const create = () =>
    createRepair({
      db,
      tvs: tvs as never,
      hours: () => hours,
      hasRelay: tv => relays.includes(tv),
      isHeld: tv => held.has(tv),
      failures: tv => failures.get(tv) ?? 0,
      hasFault: tv => faults.has(tv),
      help: (tv, why) => void helped.set(tv, why),
      now: () => now
    })
  let repair = create()
  return {
    tvs,
    did,
    notes,
    helped,
    failures,
    held,
    faults,
    restart: () => {
      repair = create()
    },
    /** Looks every ten seconds, as the service does. */
    async pass(ms: number): Promise<void> {
      for (const end = now + ms; now < end; now += 10_000)
        for (const name of names) await repair.look(name, signal)
    }
  }
}

describe('tv: repair', () => {
  it('goes from the player to the relay, a step in five minutes, and asks for help after three rounds', async () => {
    const { failures, faults, did, helped, pass, notes } = platform(['a'])
    failures.set('a', 2)
    await pass(HOUR_MS)
    equal(did.length, 0, 'two failures are none')
    failures.set('a', 3)
    await pass(2 * HOUR_MS)
    const round = ['player.restart', 'system.reboot', 'power.cycle']
    deepEqual(
      did.map(({ what }) => what),
      [...round, ...round, ...round]
    )
    for (const [i, { at }] of did.entries()) if (i > 0) ok(at - did[i - 1]!.at >= PAUSE_MS)
    equal(notes.length, 9)
    equal(helped.get('a'), 'it does not show what it should')
    failures.set('a', 0)
    await pass(MINUTE_MS)
    equal(helped.get('a'), undefined)
    failures.set('a', 3)
    await pass(HOUR_MS)
    equal(did.length, 9, 'three rounds a day')
    await pass(DAY_MS)
    ok(did.length > 9)
    const before = did.length
    failures.set('a', 0)
    await pass(DAY_MS)
    faults.add('a')
    await pass(MINUTE_MS)
    equal(did.at(-1)!.what, 'player.restart', 'a screen that is black is one that shows nothing')
    ok(did.length > before)
  })

  it('leaves alone what was meant to be off, is held by somebody, or is closed; without a relay asks for help at once', async () => {
    const { tvs, did, held, pass } = platform(['a'], { hours: ['1-7 09:00-10:00 UTC'] })
    const tv = tvs.get('a')!
    tv.lamp = 'down'
    await pass(50 * MINUTE_MS)
    equal(did.length, 0, 'it is not nine yet')
    tv.readings.relay = 'off'
    await pass(20 * MINUTE_MS)
    held.add('a')
    tv.readings.relay = 'on'
    await pass(20 * MINUTE_MS)
    equal(did.length, 0)
    held.clear()
    await pass(MINUTE_MS)
    deepEqual(
      did.map(({ what }) => what),
      ['power.cycle']
    )
    const without = platform(['b'], { relays: [] })
    without.tvs.get('b')!.lamp = 'down'
    await without.pass(2 * MINUTE_MS)
    deepEqual([without.did, without.helped.get('b')], [[], 'it does not answer'])
    const never = platform(['c'], { hours: [] })
    never.failures.set('c', 9)
    await never.pass(HOUR_MS)
    deepEqual([never.did, never.helped.get('c')], [[], undefined])
  })

  it('never touches two TVs of a platform together, also after restarts', async () => {
    const { tvs, failures, did, pass, restart } = platform(['a', 'b', 'c'])
    tvs.get('a')!.lamp = 'down'
    for (const name of ['b', 'c']) failures.set(name, 3)
    for (let i = 0; i < 20; i++) {
      await pass(7 * MINUTE_MS)
      restart()
    }
    ok(did.length > 10)
    const sorted = did.toSorted((a, b) => a.at - b.at)
    for (const [i, { at }] of sorted.entries()) if (i > 0) ok(at - sorted[i - 1]!.at >= PAUSE_MS)
  })

  it('keeps its limits whatever ails a TV and whenever it is looked at', () => {
    const looks = fc.array(
      fc.record({
        gap: fc.integer({ min: 1, max: 3 * HOUR_MS }),
        isDown: fc.boolean(),
        hasRelay: fc.boolean()
      }),
      { maxLength: 200 }
    )
    fc.assert(
      fc.property(looks, list => {
        const done: Done[] = []
        let now = START
        for (const { gap, isDown, hasRelay } of list) {
          now += gap
          const step = nextStep({
            ailment: isDown ? 'down' : 'idle',
            hasRelay,
            done,
            besideAt: undefined,
            now
          })
          if (step == null || step === 'help') continue
          ok(done.length === 0 || now - done.at(-1)!.at >= PAUSE_MS)
          done.push({ at: now, step })
          const today = done.filter(({ at }) => at > now - DAY_MS)
          for (const each of ['player', 'reboot', 'relay'] as const)
            ok(today.filter(({ step: was }) => was === each).length <= 6, `${each} too often`)
        }
      })
    )
  })
})
