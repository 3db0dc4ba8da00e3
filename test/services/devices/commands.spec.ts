import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { z } from 'zod'
import { isSignedBy } from '../../../ledger/index.ts'
import { createCarrier } from '../../../services/devices/commands/carry.ts'
import {
  COMMAND_DOMAIN,
  type Command,
  decodeCommand,
  encodeCommand,
  type Outcome
} from '../../../services/devices/commands/command.ts'
import { createExecute } from '../../../services/devices/commands/execute.ts'
import { createOperator } from '../../../services/devices/commands/operator.ts'
import { COMMAND, type CommandBody, createCommandStore } from '../../../services/devices/commands/store.ts'
import type { DeviceCommand } from '../../../services/devices/contract.ts'
import { LogFullError } from '../../../services/devices/errors.ts'
import { type FleetDocument, wishes } from '../../../services/devices/fleet/document.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createNonces, UnreachableError } from '../../../services/host/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { signerFrom } from '../../ledger/helpers.ts'

const SELF = signerFrom('an agent').account
const ann = signerFrom('ann')
const bob = signerFrom('bob')
const eve = signerFrom('eve')
const VALVE = 'valve:1'
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const START_MS = 1_800_000_000_000

const grantsOf = (...grants: object[]): FleetDocument => ({
  ...wishes.parse({ grants }),
  fleet: 'f',
  version: 1,
  by: 'owner',
  at: 0
})
const BOTH = grantsOf(
  { peer: ann.account, devices: 'valve:*', risk: 3 },
  { peer: bob.account, devices: 'valve:*', commands: ['empty'], risk: 3 }
)

/** The end at the agent over a log in memory, with a clock of its own. A new one over the same log is a restart. */
function agent(
  log: { device: string; body: CommandBody }[] = [],
  disk = { notes: Number.POSITIVE_INFINITY }
) {
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  const store = createCommandStore(db, SELF)
  const world = {
    now: START_MS,
    mono: 0,
    clock: 'ntp' as 'ntp' | 'unset',
    document: BOTH as FleetDocument | undefined,
    confirmedMs: 0,
    isOn: true,
    isFull: false
  }
  const done: string[] = []
  let read = 0
  let gate: Promise<unknown> = Promise.resolve()
  const act = (what: string) => async () => {
    done.push(what)
    await gate
    return undefined
  }
  const commands: Record<string, DeviceCommand> = {
    look: { summary: '', risk: 0, run: () => ({ level: 7 }) },
    turn: { summary: '', risk: 1, args: z.strictObject({ to: z.number() }), run: act('turn') },
    flush: { summary: '', risk: 2, run: act('flush'), look: () => (done.length > 0 ? 'done' : 'failed') },
    empty: { summary: '', risk: 3, run: act('empty') },
    hang: { summary: '', risk: 1, deadlineMs: 20, run: () => new Promise(() => {}) },
    jam: {
      summary: '',
      risk: 1,
      run() {
        throw new Error('it is stuck')
      }
    },
    halfway: {
      summary: '',
      risk: 1,
      run() {
        throw Object.assign(new Error('the line went'), { isUnknown: true })
      }
    }
  }
  const nonces = createNonces(() => world.mono)
  const crashed = new AbortController()
  const execute = createExecute({
    self: SELF,
    fleet: 'f',
    store,
    nonces,
    opened: () => new Map([[VALVE, { commands }]]),
    document: () => world.document,
    confirmedMs: () => world.confirmedMs,
    clock: () => world.clock,
    isSwitchedOn: async () => world.isOn,
    isSigned: isSignedBy,
    now: () => world.now,
    async settled() {
      for (; read < log.length; read++) {
        const { device, body } = log[read]!
        store.onEntry({
          ...{
            agent: SELF,
            number: 0,
            seq: read,
            at: world.now,
            class: 'account',
            kind: COMMAND,
            clock: 'ntp'
          },
          device,
          body: body as never
        })
      }
    },
    async note(device, body) {
      if (world.isFull) throw new LogFullError('no room')
      // the process is gone: nothing comes back any more
      if (disk.notes-- <= 0) {
        crashed.abort()
        await new Promise(() => {})
      }
      log.push({ device, body })
    },
    signal: new AbortController().signal,
    log: Object.assign(() => {}, { error: () => {} })
  })
  let next = 0
  const commandOf = (name: string, more: Partial<Command> = {}): Command => ({
    ...{
      fleet: 'f',
      id: `command-${next++}`,
      issuer: ann.account,
      by: 'ann',
      agent: SELF,
      device: VALVE,
      name
    },
    args: {},
    issued: world.now,
    expires: world.now + MINUTE_MS,
    ...more
  })
  const signed = (command: Command, signers = [ann]) => {
    const bytes = encodeCommand(command)
    return {
      bytes,
      signatures: signers.map(({ account, sign }) => ({
        signer: account,
        signature: sign(COMMAND_DOMAIN, bytes)
      }))
    }
  }
  return {
    world,
    store,
    log,
    done,
    execute,
    nonces,
    crashed: crashed.signal,
    commandOf,
    signed,
    hold(until: Promise<unknown>): void {
      gate = until
    },
    ask: (name: string, more: Partial<Command> = {}, signers = [ann]): Promise<Outcome> =>
      execute.execute(signed(commandOf(name, more), signers)),
    fresh: () => ({ nonce: nonces.give(VALVE) }),
    said: () => log.map(({ body }) => body.is)
  }
}

describe('devices: commands', () => {
  it('are read back as they were written; what is none is refused', () => {
    const { commandOf, nonces } = agent()
    const command = commandOf('turn', { args: { to: 7, text: 'ж"\n' }, nonce: nonces.give(VALVE) })
    deepEqual(decodeCommand(encodeCommand(command)), command)
    throws(() => encodeCommand(commandOf('turn', { args: { text: 'x'.repeat(9_000) } })), {
      name: 'CommandError'
    })
    const right = encodeCommand(command)
    fc.assert(
      fc.property(fc.nat(right.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const bytes = right.slice()
        bytes[at]! ^= bits
        try {
          decodeCommand(bytes)
        } catch (error) {
          equal((error as Error).name, 'CommandError')
        }
      })
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        throws(() => decodeCommand(bytes), { name: 'CommandError' })
      })
    )
  })

  it('are done with a grant, and their steps are in the log before they are taken', async () => {
    const { ask, done, log, said } = agent()
    deepEqual(await ask('turn', { args: { to: 7 } }), { is: 'done' })
    deepEqual(done, ['turn'])
    deepEqual(said(), ['received', 'started', 'done'])
    equal(log[0]!.device, VALVE)
    deepEqual(await ask('look'), { is: 'done', result: { level: 7 } })
    deepEqual(await ask('jam'), { is: 'failed', why: 'it is stuck' })
    deepEqual(await ask('halfway'), { is: 'unknown', why: 'the line went' })
    deepEqual(await ask('hang'), { is: 'unknown', why: 'it gave no answer within 0.02 s' })
    equal(said().length, 15)
  })

  it('that are refused ask nothing of the device, and the log says so', async () => {
    const { ask, world, done, said, fresh, commandOf, execute, signed } = agent()
    const refused: [string, Promise<Outcome>, RegExp][] = [
      ['no grant', ask('turn', { issuer: eve.account, args: { to: 1 } }, [eve]), /has no grant/],
      ['another command', ask('turn', { issuer: bob.account, args: { to: 1 } }, [bob]), /has no grant/],
      ['other arguments', ask('turn', { args: { to: 'x' } }), /turn: .*number/],
      ['further arguments', ask('look', { args: { more: 1 } }), /look: /],
      ['unknown', ask('explode'), /does not know "explode"/],
      ['a name of every object', ask('constructor'), /does not know/],
      ['no device', ask('turn', { device: 'valve:2' }), /valve:2 is not here/],
      ['of another fleet', ask('look', { fleet: 'g' }), /it is for the fleet "g"/],
      ['for another node', ask('look', { agent: eve.account }), /it is for the node/],
      ['good for too long', ask('look', { expires: world.now + 2 * DAY_MS }), /more than a day/],
      ['to come', ask('look', { issued: world.now + DAY_MS, expires: world.now + DAY_MS }), /is to come/],
      ['disturbing, without a nonce', ask('flush'), /needs a nonce/],
      ['one signer', ask('empty', fresh()), /two signers/],
      ['one signer, twice', ask('empty', fresh(), [ann, ann]), /not signed/],
      ['the second without a grant', ask('empty', fresh(), [ann, eve]), /has no grant/]
    ]
    for (const [what, outcome, why] of refused) {
      const { is, why: said } = await outcome
      equal(is, 'refused', what)
      match(said!, why, what)
    }
    equal((await ask('look', { issued: world.now - 2 * MINUTE_MS, expires: world.now - 1 })).is, 'expired')

    // somebody alters what ann has signed, or signs for her
    const altered = signed(commandOf('turn', { args: { to: 1 } }))
    altered.bytes = encodeCommand(commandOf('turn', { args: { to: 2 } }))
    equal((await execute.execute(altered)).is, 'refused')
    equal((await execute.execute(signed(commandOf('look'), [eve]))).is, 'refused')

    // the grant is taken back
    world.document = grantsOf()
    match((await ask('look')).why!, /has no grant/)
    world.document = undefined
    match((await ask('look')).why!, /no document/)
    deepEqual(done, [])
    equal(said().length, refused.length + 5)
    deepEqual([...new Set(said())].sort(), ['expired', 'forged', 'refused'])
  })

  it('have limits: how often in a day, and until when', async () => {
    const { ask, world } = agent()
    world.document = grantsOf({ peer: ann.account, perDay: 2, until: START_MS + 3 * DAY_MS })
    equal((await ask('look')).is, 'done')
    equal((await ask('look')).is, 'done')
    match((await ask('look')).why!, /it may 2 times/)
    const { ask: askMany, world: many } = agent()
    many.document = world.document
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => askMany('look')))
    equal(outcomes.filter(({ is }) => is === 'done').length, 2, 'also where they come at once')
    world.now += DAY_MS + 1
    equal((await ask('look')).is, 'done')
    world.now += 2 * DAY_MS
    match((await ask('look')).why!, /has no grant/)
  })

  it('are done once, however often they come; another one under the same id is none', async () => {
    const { execute, signed, commandOf, done, said, hold } = agent()
    const under = Promise.withResolvers<void>()
    hold(under.promise)
    const turn = signed(commandOf('turn', { args: { to: 7 } }))
    const first = execute.execute(turn)
    const second = execute.execute(turn)
    under.resolve()
    deepEqual([await first, await second, await execute.execute(turn)], Array(3).fill({ is: 'done' }))
    const { id } = decodeCommand(turn.bytes)
    const other = await execute.execute(signed(commandOf('turn', { id, args: { to: 8 } })))
    match(other.why!, /has this id/)
    deepEqual(done, ['turn'])
    equal(said().filter(is => is === 'repeated').length, 3)
  })

  it('of risk 2 and 3 are of now whatever any clock says, and their nonce is used once', async () => {
    const { ask, world, nonces, done, fresh } = agent()
    world.clock = 'unset'
    const nonce = nonces.give(VALVE)
    const old = { issued: 5, expires: 6 }
    equal((await ask('flush', { ...old, nonce })).is, 'done')
    equal((await ask('flush', { ...old, nonce })).is, 'expired', 'it is used')
    const late = fresh()
    world.mono += MINUTE_MS + 1
    equal((await ask('flush', late)).is, 'expired', 'it is old')
    equal((await ask('flush', { nonce: nonces.give('valve:2') })).is, 'expired', 'it is for another device')
    equal((await ask('flush', { nonce: new Uint8Array(16) })).is, 'expired', 'nobody gave it')
    deepEqual(done, ['flush'])
  })

  it('of risk 3 need two signers, a switch at the machine, and a document that somebody confirmed', async () => {
    const { ask, world, done, fresh } = agent()
    const both = [ann, bob]
    equal((await ask('empty', fresh(), both)).is, 'done')
    world.isOn = false
    match((await ask('empty', fresh(), both)).why!, /switched on/)
    world.isOn = true
    world.confirmedMs = 7 * DAY_MS + 1
    match((await ask('empty', fresh(), both)).why!, /seven days/)
    equal((await ask('turn', { args: { to: 1 } })).is, 'done', 'others are done all the same')
    deepEqual(done, ['empty', 'turn'])
  })

  it('that wait for a second signer are what he has read until he signs', () => {
    const { commandOf, execute, nonces, world } = agent()
    const { propose, proposals } = createOperator({
      ...{ self: bob.account, fleet: 'f', peers: {} as never, execute, nonces, sign: bob.sign },
      ...{
        agentsOf: () => [],
        carriers: () => [],
        mayPropose: () => true,
        now: () => world.now,
        changed: () => {}
      }
    })
    const read = commandOf('empty', { args: { litres: 1 } })
    propose(encodeCommand(read), ann.account)
    const other = { ...read, args: { litres: 1_000 } }
    throws(() => propose(encodeCommand(other), ann.account), { name: 'ConflictError' })
    throws(() => propose(encodeCommand({ ...other, issuer: eve.account }), eve.account), {
      name: 'ConflictError'
    })
    deepEqual(
      proposals().map(({ command }) => command.args),
      [{ litres: 1 }]
    )
    // one that no node would take fills no place until then
    const end = { id: 'for-ever', expires: 8.64e15 }
    for (const more of [end, { ...end, issued: 8.64e15 - 1 }])
      throws(() => propose(encodeCommand({ ...read, ...more }), ann.account), { name: 'CommandError' })
    throws(() => propose(encodeCommand({ ...read, ...end, expires: 9e15 }), ann.account), {
      name: 'CommandError',
      message: /no moment/
    })
  })

  describe('to a node that the operator cannot reach', () => {
    const OLD = signerFrom('a node of before').account
    const CARRIER = signerFrom('a carrier').account

    /** An operator without a way to the node, one carrier that has one while `isUp`, and one of before. */
    function relay() {
      const there = agent()
      const { execute, nonces, world } = there
      const state = { isUp: true, asks: 0 }
      const quiet = Object.assign(() => {}, { error: () => {} })
      const carrier = createCarrier({
        ...{ fleet: 'f', isSigned: isSignedBy, now: () => world.now, log: quiet },
        isMember: peer => peer !== eve.account,
        peers: {
          async ask(_: string, kind: string, request: never) {
            state.asks++
            if (!state.isUp) throw new UnreachableError('no way')
            return kind === 'nonce' ? { nonce: nonces.give(VALVE), risk: 2 } : execute.execute(request)
          }
        } as never,
        signal: new AbortController().signal
      })
      const operator = createOperator({
        ...{ self: ann.account, fleet: 'f', execute, nonces, sign: ann.sign, now: () => world.now },
        ...{
          agentsOf: () => [SELF],
          carriers: () => [OLD, CARRIER],
          mayPropose: () => true,
          changed: () => {}
        },
        peers: {
          async ask(peer: string, kind: string, request: never) {
            if (peer === SELF) throw new UnreachableError('no way')
            if (peer === OLD) throw new TypeError(`${kind} is not known here`)
            return kind === 'carryNonce'
              ? carrier.nonce(request, ann.account, AbortSignal.timeout(MINUTE_MS))
              : carrier.carry(request, ann.account)
          }
        } as never
      })
      const command = (name: string, args = {}, signal = AbortSignal.timeout(MINUTE_MS)) =>
        operator.command({ device: VALVE, name, args, minutes: 1 }, '', signal)
      return { ...there, carrier, command, state }
    }

    it('are carried by another member, which says so', async () => {
      const { command, done } = relay()
      const { is, via } = (await command('flush')) as { is: string; via?: string }
      deepEqual([is, via, done], ['done', CARRIER, ['flush']])
      // what the node says of it is what is heard
      const wrong = await command('turn', { to: 'left' })
      match((wrong as Outcome).why!, /turn: /)
    })

    it('wait at the carrier until there is a way, also where who asked has gone, and are done once', async () => {
      const { carrier, signed, commandOf, done, state, log } = relay()
      const turn = signed(commandOf('turn', { args: { to: 7 } }))
      state.isUp = false
      deepEqual(await carrier.carry(turn, ann.account), { is: 'waiting' })
      state.isUp = true
      await until(() => log.some(({ body }) => body.is === 'done'), 'it is done without being asked again')
      equal((await carrier.carry(turn, ann.account)).is, 'done')
      deepEqual(done, ['turn'])
      ok(!log.some(({ body }) => body.is === 'repeated'), 'it was brought once')
    })

    it('are let go when they expire, and a node carries only what a member has signed, and so many', async () => {
      const { carrier, command, signed, commandOf, state, world } = relay()
      state.isUp = false
      await rejects(command('turn', { to: 1 }), { name: 'UnreachableError', message: /not known here/ })
      const carry = (more: Partial<Command>, peer = ann.account) =>
        carrier.carry(signed(commandOf('turn', more)), peer)
      await rejects(carry({}, eve.account), { name: 'ForbiddenError' })
      await rejects(carry({ agent: eve.account }), { name: 'ForbiddenError' })
      await rejects(carry({ fleet: 'g' }), { name: 'ForbiddenError' })
      await rejects(carry({}, bob.account), { name: 'ForbiddenError' })
      await rejects(carry({ expires: world.now - 1 }), { name: 'CommandError' })
      await rejects(carry({ expires: world.now + 2 * DAY_MS }), { name: 'CommandError' })
      for (let i = 0; i < 20; i++) equal((await carry({})).is, 'waiting')
      await rejects(carry({}), { name: 'ConflictError' })
      world.now += MINUTE_MS + 1
      equal((await carry({ issued: world.now, expires: world.now + MINUTE_MS })).is, 'waiting')
      world.now += MINUTE_MS + 1
    })
  })

  it('are refused where the log takes nothing', async () => {
    const { ask, world, done } = agent()
    world.isFull = true
    match((await ask('turn', { args: { to: 1 } })).why!, /log of this node is full/)
    deepEqual(done, [])
  })

  it('that are forgotten do not come back, also where the clock goes back', async () => {
    const { execute, signed, commandOf, store, world, done } = agent()
    const turn = signed(commandOf('turn', { args: { to: 1 } }))
    equal((await execute.execute(turn)).is, 'done')
    world.now += 8 * DAY_MS
    store.tidy(world.now)
    equal(store.kept(ann.account), 0)
    world.now = START_MS
    deepEqual((await execute.execute(turn)).is, 'expired')
    deepEqual(done, ['turn'])
  })

  it('killed at any step are done at most once, and what is not known is said to be unknown', async () => {
    for (const name of ['turn', 'flush'])
      for (let steps = 0; steps < 4; steps++) {
        const log: { device: string; body: CommandBody }[] = []
        const before = agent(log, { notes: steps })
        const more = name === 'turn' ? { args: { to: 1 } } : { nonce: before.nonces.give(VALVE) }
        const command = before.signed(before.commandOf(name, more))
        const first = before.execute.execute(command)
        if (steps < 3) await until(() => before.crashed.aborted, 'it has crashed')
        else await first

        const after = agent(log)
        // what the first process did to the device stays done
        after.done.push(...before.done)
        await after.execute.opened(VALVE)
        const { is } = await after.execute.execute(command)
        const said = `${name}, ${steps} entries: ${is}`
        ok(after.done.length <= 1, said)
        // a nonce is of the process that gave it
        if (steps === 0) equal(is, name === 'turn' ? 'done' : 'expired', said)
        if (steps === 1) equal(is, 'failed', said)
        if (steps === 2) equal(is, name === 'turn' ? 'unknown' : 'done', said)
        if (steps === 3) equal(is, 'done', said)
        equal((await after.execute.execute(command)).is, is, 'asked again it is the same')
      }
  })
})
