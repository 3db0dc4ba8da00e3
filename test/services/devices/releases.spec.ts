import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { createReleases } from '../../../services/devices/release/create-releases.ts'
import { isMeant, wantedRelease } from '../../../services/devices/release/release.ts'
import {
  freeSlot,
  givenUp,
  kept,
  MAX_STARTS,
  nextStart,
  readState,
  type SlotState,
  STATE_FILE,
  startOf,
  writeState
} from '../../../services/host/release/slots.ts'
import { pack } from './releases.ts'

const WATCHDOG = new URL('../../../services/devices/release/watchdog.ts', import.meta.url).href
const { signal } = new AbortController()
const AGENT = '12D3KooWSAgent'.padEnd(52, 'x')
const release = (version: string) => ({ version, sha256: version.padStart(64, '0') })
const trialOf = (slot: 'a' | 'b', starts = 0) => ({ slot, starts, healthMs: 1, startMs: 1 })

describe('devices: releases of agents', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-releases-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('that do not work are given up after so many starts, and what worked runs again', () => {
    let state: SlotState = { current: 'a', a: release('1'), b: release('2'), trial: trialOf('b') }
    for (let i = 0; i < MAX_STARTS; i++) {
      const next = nextStart(state)
      equal(next.slot, 'b')
      state = next.state
    }
    const { slot, state: after } = nextStart({ ...state, trial: { ...state.trial!, ended: 'exit code 9' } })
    equal(slot, 'a')
    match(after.failed!.why, /^it ended 3 times .* exit code 9$/)
    equal(nextStart(after).state, after)
  })

  it('never take the place of what works, and what was installed always runs', () => {
    const slot = fc.constantFrom('a' as const, 'b' as const)
    const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
    const states = fc.record({
      current: maybe(slot),
      a: fc.constant(release('1')),
      b: maybe(fc.constant(release('2'))),
      trial: maybe(fc.record({ slot, starts: fc.nat(4), healthMs: fc.nat(9), startMs: fc.nat(9) }))
    })
    fc.assert(
      fc.property(states, state => {
        ok(freeSlot(state) !== state.current)
        const next = nextStart(state)
        ok(next.slot === state.current || next.slot === state.trial?.slot)
        equal(givenUp(state, { is: 'exited', of: ['9'] }).current, state.current)
        equal(kept(state).current, state.trial?.slot ?? state.current)
      })
    )
  })

  it('are tried by a share of the agents, the same ones, more of them as it grows', () => {
    const agents = Array.from({ length: 1_000 }, (_, i) => `agent-${i}`)
    const meant = (percent: number): string[] =>
      agents.filter(agent =>
        isMeant(wantedRelease.parse({ ...release('1'), bytes: 1, percent, agents: [AGENT] }), agent)
      )
    deepEqual(meant(0), [])
    equal(meant(100).length, 1_000)
    const some = meant(10)
    ok(some.length > 50 && some.length < 150, `${some.length} of 1,000`)
    deepEqual(
      some.filter(each => !meant(30).includes(each)),
      []
    )
    ok(isMeant(wantedRelease.parse({ ...release('1'), bytes: 1, percent: 0, agents: [AGENT] }), AGENT))
  })

  it('have a state that is whole or not there', async () => {
    deepEqual(await readState(folder), {})
    const state = { current: 'a' as const, a: release('1') }
    await writeState(folder, state)
    deepEqual(await readState(folder), state)
    await writeFile(join(folder, STATE_FILE), '{"current":"c"')
    deepEqual(await readState(folder), {})
  })

  it('come although the first that is asked gives something else', async () => {
    const packed = await pack(folder, '2', '')
    const from: string[] = []
    const { look, state } = await createReleases({
      folder: join(folder, 'node'),
      self: AGENT,
      slot: 'base',
      wanted: () => wantedRelease.parse({ ...packed, bytes: packed.bytes.length }),
      sources: () => ['liar', 'honest'],
      async fetch(peer, _, at) {
        from.push(peer)
        const bytes = packed.bytes.subarray(at)
        return peer === 'liar' ? bytes.map(byte => byte ^ 1) : bytes
      },
      note: async () => ({ number: 0, seq: 0 }),
      isWitnessed: () => true,
      restart: () => {},
      log: Object.assign(() => {}, { error: () => {} })
    })
    await look(signal)
    match(state().why!, /something else/)
    await look(signal)
    equal(state().why, undefined)
    deepEqual(from, ['liar', 'honest'])
  })

  /** A node that is killed at its `step`-th effect, and started again until nothing changes. */
  async function live(step: number, isHealthy: boolean) {
    const packed = await pack(folder, '2', '')
    const wanted = wantedRelease.parse({ ...packed, bytes: packed.bytes.length, healthSeconds: 1 })
    const releases = join(folder, `node-${step}-${isHealthy}`)
    const notes: Record<string, unknown>[] = []
    let left = step
    let now = 0
    let ended = Promise.withResolvers<void>()
    const effect = async (): Promise<void> => {
      if (left-- > 0) return
      left = Number.POSITIVE_INFINITY
      // nothing of the process goes on
      ended.resolve()
      await new Promise(() => {})
    }
    const slots: (string | undefined)[] = []
    for (let starts = 0; starts < 12; starts++) {
      ended = Promise.withResolvers<void>()
      const { slot, state } = nextStart(await readState(releases))
      await mkdir(releases, { recursive: true })
      await writeState(releases, state)
      const node = await createReleases({
        folder: releases,
        self: AGENT,
        slot: slot ?? 'base',
        wanted: () => wanted,
        sources: () => ['one', 'two'],
        async fetch(peer, _, from) {
          await effect()
          // half of it is at each
          return peer === 'one' && from > 100 ? new Uint8Array(0) : packed.bytes.subarray(from, from + 100)
        },
        async note(about) {
          await effect()
          notes.push(about)
          return { number: 0, seq: notes.length }
        },
        isWitnessed: () => true,
        restart: () => ended.resolve(),
        monoMs: () => now,
        log: Object.assign(() => {}, { error: () => {} })
      })
      slots.push(slot)
      // a broken release ends before it can do anything
      if (slot === 'a' && !isHealthy) continue
      const looks = async (): Promise<void> => {
        for (let look = 0; look < 4; look++) {
          await node.look(signal)
          now += 1_001
        }
      }
      await Promise.race([looks(), ended.promise])
    }
    return { notes, slots, state: await readState(releases) }
  }

  it('killed at any step are kept in the end where they work, and given up with a reason where they do not', async function () {
    this.timeout(600_000)
    for (const isHealthy of [true, false])
      for (let step = 0; step < 9; step++) {
        const { notes, slots, state } = await live(step, isHealthy)
        const said = notes.map(({ is }) => is)
        const at = `killed at ${step}: ${said.join(', ')}; ${slots.join(' ')}`
        equal(slots[0], undefined, at)
        if (isHealthy) {
          equal(state.current, 'a', at)
          equal(slots.at(-1), 'a', at)
          ok(said.includes('on trial'), at)
        } else {
          equal(state.current, undefined, at)
          equal(slots.at(-1), undefined, at)
          ok(said.includes('failed'), at)
          match(state.failed!.why, /ended 3 times/, at)
          equal(state.failed!.isTold, true, at)
        }
      }
  })

  it('are on the disk, all of their files, before they are tried', async () => {
    const packed = await pack(folder, '4', '')
    const releases = join(folder, 'node')
    const bin = join(folder, 'bin')
    const seen = join(folder, 'seen')
    await mkdir(bin)
    // what it is asked for, what is there, and whether something is on trial already
    await writeFile(
      join(bin, 'sync'),
      `#!/bin/sh\n{ echo "$@"; ls "$2"; grep -c trial '${join(releases, STATE_FILE)}'; } > '${seen}'; exit 0\n`,
      { mode: 0o755 }
    )
    const { PATH } = process.env
    process.env.PATH = `${bin}:${PATH}`
    try {
      const node = await createReleases({
        folder: releases,
        self: AGENT,
        slot: 'base',
        wanted: () => wantedRelease.parse({ ...packed, bytes: packed.bytes.length }),
        sources: () => ['one'],
        fetch: async (_, __, from) => packed.bytes.subarray(from),
        note: async () => ({ number: 0, seq: 0 }),
        isWitnessed: () => true,
        restart: () => {},
        log: Object.assign(() => {}, { error: () => {} })
      })
      await node.look(signal)
    } finally {
      process.env.PATH = PATH
    }
    const [what, ...rest] = (await readFile(seen, 'utf8')).trim().split('\n')
    match(what!, /^-f .*a\.new$/)
    deepEqual(rest, ['artel.js', 'package.json', '0'])
    equal((await readState(releases)).trial?.slot, 'a')
  })

  it('that cannot be read any more are left out, and unpacked anew', async () => {
    const folderOf = (slot: string): string => join(folder, slot)
    await mkdir(folderOf('a'))
    await mkdir(folderOf('b'))
    const both: SlotState = { current: 'a', a: release('1'), b: release('2'), trial: trialOf('b') }
    await writeFile(join(folderOf('a'), 'package.json'), '{"bin":{"artel":"artel.js"}}')
    await writeFile(join(folderOf('a'), 'artel.js'), '')
    await writeFile(join(folderOf('b'), 'package.json'), '{"bin"')
    const first = await startOf(folder, both)
    deepEqual([first.slot, first.program], ['a', join(folderOf('a'), 'artel.js')])
    equal(first.state.trial, undefined)
    match(first.state.failed!.why, /cannot be read/)

    await rm(join(folderOf('a'), 'artel.js'))
    const { slot, program, state } = await startOf(folder, first.state)
    deepEqual([slot, program, state.current, state.a], [undefined, undefined, undefined, undefined])
    deepEqual([state.failed!.version, state.failed!.isDamage], ['1', true])

    // what was installed runs, and the fleet still wants it
    const packed = await pack(folder, '1', '')
    await writeState(folder, { ...state, failed: { ...state.failed!, sha256: packed.sha256 } })
    const notes: Record<string, unknown>[] = []
    const node = await createReleases({
      folder,
      self: AGENT,
      slot: 'base',
      wanted: () => wantedRelease.parse({ ...packed, bytes: packed.bytes.length }),
      sources: () => ['one'],
      fetch: async (_, __, from) => packed.bytes.subarray(from),
      note: async about => ({ number: 0, seq: notes.push(about) }),
      isWitnessed: () => true,
      restart: () => {},
      log: Object.assign(() => {}, { error: () => {} })
    })
    await node.look(signal)
    deepEqual(
      notes.map(({ is }) => is),
      ['failed', 'tried']
    )
    equal((await startOf(folder, await readState(folder))).slot, 'a')
  })

  it('that do not even say their version are not tried', async () => {
    const packed = await pack(folder, '3', '', 'process.exit(1)')
    const notes: Record<string, unknown>[] = []
    const wanted = wantedRelease.parse({ ...packed, bytes: packed.bytes.length })
    const node = await createReleases({
      folder: join(folder, 'node'),
      self: AGENT,
      slot: 'base',
      wanted: () => wanted,
      sources: () => ['one'],
      fetch: async (_, __, from) => packed.bytes.subarray(from),
      note: async about => ({ number: 0, seq: notes.push(about) }),
      isWitnessed: () => true,
      restart: () => ok(false, 'it is not tried'),
      log: Object.assign(() => {}, { error: () => {} })
    })
    await node.look(signal)
    await node.look(signal)
    deepEqual(
      notes.map(({ is }) => is),
      ['failed']
    )
    match(node.state().why!, /does not start/)
    equal(
      await readFile(join(folder, 'node', STATE_FILE), 'utf8').then(text => text.includes('"trial"')),
      false
    )
  })

  it('that stand still are ended by the kernel, and the next start knows of it', async () => {
    const file = join(folder, 'running')
    const run = async (seconds: number, body: string): Promise<string> => {
      const init = JSON.stringify({ file, boot: 'today', seconds })
      const script = `import { startWatchdog } from '${WATCHDOG}'
        const { wasCutOff, end } = await startWatchdog(${init})
        ${body}
        process.stdout.write(String(wasCutOff))`
      const child = spawn(process.execPath, ['--input-type=module', '-e', script])
      const [said, [code, name]] = await Promise.all([text(child.stdout), once(child, 'exit')])
      return `${said} ${name ?? code}`
    }
    const [stop, hang] = ['await end()', 'for (;;);']
    await writeFile(file, 'before a power cut')
    equal(await run(600, stop), 'false 0')
    equal(await run(1, hang), ' SIGALRM')
    equal(await run(600, stop), 'true 0')
    equal(await run(600, stop), 'false 0')
  })

  it('are fetched again where what came is something else', async () => {
    const packed = await pack(folder, '5', '')
    let lies = true
    const wanted = wantedRelease.parse({ ...packed, bytes: packed.bytes.length })
    let restarts = 0
    const node = await createReleases({
      folder: join(folder, 'node'),
      self: AGENT,
      slot: 'base',
      wanted: () => wanted,
      sources: () => ['one'],
      fetch: async (_, __, from) =>
        lies ? new Uint8Array(packed.bytes.length - from) : packed.bytes.subarray(from),
      note: async () => ({ number: 0, seq: 0 }),
      isWitnessed: () => true,
      restart: () => void restarts++,
      log: Object.assign(() => {}, { error: () => {} })
    })
    await node.look(signal)
    match(node.state().why!, /something else/)
    lies = false
    await node.look(signal)
    equal(restarts, 1)
  })
})
