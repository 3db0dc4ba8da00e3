import { raceSignal } from 'race-signal'
import { z } from 'zod'
import { NONCE_MS, type Nonces, signersOf } from '../../host/index.ts'
import type { IsSigned, Log } from '../context.ts'
import type { CommandOrigin, DeviceCommand, DeviceDescription } from '../contract.ts'
import { LogFullError } from '../errors.ts'
import { type FleetDocument, grantsFor } from '../fleet/document.ts'
import { AGENT, type ClockState } from '../log/entry.ts'
import { toJson } from '../series/to-json.ts'
import { pause } from '../time/pause.ts'
import {
  COMMAND_DOMAIN,
  type Command,
  decodeCommand,
  hashOfCommand,
  type Outcome,
  refusal,
  type SignedCommand
} from './command.ts'
import type { CommandBody, CommandStore, StoredCommand } from './store.ts'

const RUN_MS = 30_000
const MAX_RESULT_CHARS = 4_000
const MAX_WHY_CHARS = 500
const HOUR_MS = 3_600_000
/** A driver has its device by then, or it does not come: one that is deaf at first takes its time on a busy board. */
const OPEN_MS = 60_000
/** Entries of an hour about what was refused: who asks in vain fills no log. */
const MAX_REFUSALS = 200
/** Of one issuer that are kept; more are refused until old ones are let go. */
const MAX_KEPT = 50_000
const ENDED = 'this node ended while it was done'

export interface ExecuteInit {
  self: string
  fleet: string
  store: CommandStore
  nonces: Nonces
  /** devices that are here now, by id */
  opened(): ReadonlyMap<string, Pick<DeviceDescription, 'commands' | 'facts'>>
  document(): FleetDocument | undefined
  /** ms since an owner confirmed it */
  confirmedMs(): number
  clock(): ClockState
  isSwitchedOn(device: string, name: string): Promise<boolean>
  isSigned: IsSigned
  now(): number
  /** Resolves when the log is whole, as far as witnesses have it, and the store has read all of it. */
  settled(): Promise<unknown>
  /** Resolves when it is on the disk. */
  note(device: string, body: CommandBody): Promise<unknown>
  /** aborted when the service stops */
  signal: AbortSignal
  log: Log
}

/** Commands to devices of this node: decided here, each done once, every step in the log before it is taken. */
export function createExecute(init: ExecuteInit) {
  const { self, fleet, store, nonces, opened, document, isSigned, now, settled, note, signal, log } = init
  /** asked again while it runs: the same outcome */
  const running = new Map<string, { issuer: string; id: string; hash: string; outcome: Promise<Outcome> }>()
  /** one at a time for each device */
  const turns = new Map<string, Promise<unknown>>()
  let refusals = { hour: 0, count: 0 }

  /** devices that somebody waits for */
  const arrivals = new Map<string, PromiseWithResolvers<void>>()

  const keyOf = ({ issuer, id }: Pick<Command, 'issuer' | 'id'>): string => `${issuer} ${id}`

  /** Of an issuer, what the store does not know yet: many that come at once are counted too. */
  const underWay = (issuer: string): number =>
    [...running.values()].filter(each => each.issuer === issuer && store.find(issuer, each.id) == null).length

  function inTurn<T>(device: string, work: () => Promise<T>): Promise<T> {
    const done = (turns.get(device) ?? Promise.resolve()).then(work)
    const settledTurn = done.then(
      () => undefined,
      () => undefined /* told to who asked */
    )
    turns.set(device, settledTurn)
    void settledTurn.then(() => {
      if (turns.get(device) === settledTurn) turns.delete(device)
    })
    return done
  }

  const commandOf = (device: string, name: string): DeviceCommand | undefined => {
    const { commands = {} } = opened().get(device) ?? {}
    return Object.hasOwn(commands, name) ? commands[name] : undefined
  }

  /** What was refused, as far as there is room for that. */
  async function noteRefusal({ device }: Command, body: CommandBody): Promise<void> {
    const hour = Math.floor(now() / HOUR_MS)
    if (refusals.hour !== hour) refusals = { hour, count: 0 }
    if (++refusals.count > MAX_REFUSALS) return
    try {
      await note(opened().has(device) ? device : AGENT, body)
    } catch (error) {
      if (!(error instanceof LogFullError)) throw error
      log.error('no room in the log for what was refused: %s', error.message)
    }
  }

  const whole = ({ issuer, id, by, name, args, issued, expires }: Command, hash: string) => ({
    ...{ issuer, id, by, name, hash, issued, expires },
    args: toJson(args as never)
  })

  async function decide(command: Command, hash: string, signers: readonly string[]): Promise<Outcome> {
    const { issuer, device, name } = command
    const { risk, args } = commandOf(device, name) ?? {}
    const { facts } = opened().get(device) ?? {}
    const wishes = document()
    const grants =
      wishes == null || risk == null
        ? undefined
        : new Map(
            signers.map(
              peer => [peer, grantsFor(wishes, { peer, device, facts, name, risk }, now())] as const
            )
          )
    const why =
      refusal(command, {
        ...{ self, fleet, risk, grants },
        now: now(),
        clock: init.clock(),
        confirmedMs: init.confirmedMs(),
        today: store.today(issuer, now()) + underWay(issuer),
        isSwitchedOn: risk === 3 && (await init.isSwitchedOn(device, name)),
        isFresh: nonces.use(command.nonce, device),
        forgottenUpTo: store.forgottenUpTo(issuer)
      }) ?? wrongArgs(args, command)
    if (why == null && store.kept(issuer) < MAX_KEPT) return run(command, hash, signers)
    const refused = why ?? {
      is: 'refused' as const,
      why: `${issuer} has asked for ${MAX_KEPT} commands within days`
    }
    await noteRefusal(command, { ...whole(command, hash), ...bodyOf(refused) })
    return refused
  }

  async function run(command: Command, hash: string, signers: readonly string[]): Promise<Outcome> {
    const { issuer, id, by, device, name, expires, nonce } = command
    const taken = performance.now()
    try {
      const others = signers.slice(1)
      await note(device, {
        ...whole(command, hash),
        is: 'received',
        ...(others.length === 0 ? {} : { signers: others })
      })
    } catch (error) {
      if (!(error instanceof LogFullError)) throw error
      // what is not written is not done
      return { is: 'refused', why: `the log of this node is full: ${error.message}` }
    }
    const isAside = commandOf(device, name)?.isAside === true
    return isAside ? settle() : inTurn(device, settle)

    async function settle(): Promise<Outcome> {
      const outcome = await begin()
      // as after a crash: it is asked of the device after the start
      if (outcome.is === 'unknown' && signal.aborted) return outcome
      try {
        await note(device, { issuer, id, ...bodyOf(outcome) })
      } catch (error) {
        if (!(error instanceof LogFullError)) throw error
        // who asked hears it; after a start it is asked of the device
        log.error('no room in the log for how %s of %s ended: %s', name, device, outcome.is)
      }
      return outcome
    }

    async function begin(): Promise<Outcome> {
      // what carries a nonce is of now, whatever the clock says
      const isLate = nonce == null ? expires < now() : performance.now() - taken > NONCE_MS
      if (isLate) return { is: 'expired', why: 'its device was busy for too long' }
      const wanted = commandOf(device, name)
      if (wanted == null) return { is: 'failed', why: `${device} has gone` }
      await note(device, { issuer, id, is: 'started' })
      return perform(wanted, command, { id, hash, by, signers })
    }
  }

  async function perform(
    { args, deadlineMs = RUN_MS, run: work }: DeviceCommand,
    command: Command,
    of: CommandOrigin
  ): Promise<Outcome> {
    const until = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
    try {
      const parsed = (args ?? z.object({})).parse(command.args)
      const result = await raceSignal(Promise.resolve(work(parsed, until, of)), until)
      if (result == null) return { is: 'done' }
      const text = toJson(result as never)
      return text.length > MAX_RESULT_CHARS
        ? { is: 'done', why: `what it answered has ${text.length} characters, and is left out` }
        : { is: 'done', result: JSON.parse(text) as unknown }
    } catch (error) {
      const { message, isUnknown } = error as Error & { isUnknown?: boolean }
      if (signal.aborted) return { is: 'unknown', why: ENDED }
      if (until.aborted) return { is: 'unknown', why: `it gave no answer within ${deadlineMs / 1000} s` }
      return { is: isUnknown === true ? 'unknown' : 'failed', why: message.slice(0, MAX_WHY_CHARS) }
    }
  }

  /** What a crash left in the middle: what was not begun was not done; of the rest its driver can know more. */
  async function recover(left: StoredCommand): Promise<void> {
    const { issuer, id, device, name, state, args, hash } = left
    let outcome: Outcome = { is: 'failed', why: 'this node ended before it was begun' }
    if (state === 'started') {
      outcome = { is: 'unknown', why: ENDED }
      try {
        const { deadlineMs = RUN_MS, look } = commandOf(device, name) ?? {}
        const until = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
        const found = await look?.(args, until, { id, hash })
        if (found != null) outcome = { is: found, why: `${ENDED}; its device was looked at` }
      } catch (error) {
        log.error('%s cannot say whether %s was done: %s', device, name, (error as Error).message)
      }
    }
    await note(device, { issuer, id, ...bodyOf(outcome) })
  }

  /** Asked again what a crash left in the middle: it is known once the driver has opened its device. */
  async function known({ issuer, id, device }: StoredCommand): Promise<Outcome> {
    if (!opened().has(device)) {
      const arrival = arrivals.get(device) ?? Promise.withResolvers<void>()
      arrivals.set(device, arrival)
      await Promise.race([arrival.promise, pause(OPEN_MS, signal)])
    }
    await inTurn(device, settled)
    return outcomeOf(store.find(issuer, id)!)
  }

  return {
    /**
     * Does it, unless it was done: the same command again has the same outcome. Never throws what issuer or device did.
     *
     * @throws {CommandError} these bytes are no command
     */
    async execute({ bytes, signatures }: SignedCommand): Promise<Outcome> {
      const command = decodeCommand(bytes)
      const hash = hashOfCommand(bytes)
      const { issuer, id } = command
      const signers = signersOf(bytes, COMMAND_DOMAIN, signatures, isSigned)
      await settled()
      if (signers[0] !== issuer || signers.length !== signatures.length) {
        const wrong = signatures.find(({ signer }) => !signers.includes(signer))
        const why = `it is not signed by ${wrong?.signer ?? issuer}`
        await noteRefusal(command, { issuer, id, is: 'forged', name: command.name, why })
        return { is: 'refused', why }
      }
      const under = running.get(keyOf(command))
      const before = under == null ? store.find(issuer, id) : undefined
      if (under != null || before != null) {
        const isSame = (under?.hash ?? before!.hash) === hash
        const why = isSame ? undefined : 'another command of this issuer has this id'
        await noteRefusal(command, { issuer, id, is: 'repeated', ...(why == null ? {} : { why }) })
        if (why != null) return { is: 'refused', why }
        if (under != null) return under.outcome
        return isOpen(before!) ? known(before!) : outcomeOf(before!)
      }
      const outcome = decide(command, hash, signers)
      running.set(keyOf(command), { issuer, id, hash, outcome })
      try {
        return await outcome
      } finally {
        // the store knows it once the log was read
        await settled()
        running.delete(keyOf(command))
      }
    },

    /** A device is here: what was left in the middle before is settled before anything new is done with it. */
    opened(device: string): Promise<void> {
      const done = inTurn(device, async () => {
        await settled()
        for (const left of store.open(device)) if (!running.has(keyOf(left))) await recover(left)
      })
      arrivals.get(device)?.resolve()
      arrivals.delete(device)
      return done
    },

    /** What a command of a device here can do; undefined: there is none. */
    riskOf: (device: string, name: string) => commandOf(device, name)?.risk
  }
}

export type Execute = ReturnType<typeof createExecute>

function wrongArgs(schema: z.ZodObject | undefined, { name, args }: Command): Outcome | undefined {
  const read = (schema ?? z.strictObject({})).safeParse(args)
  if (read.success) return undefined
  const why = z.prettifyError(read.error).replaceAll('\n', ' ')
  return { is: 'refused', why: `${name}: ${why}`.slice(0, MAX_WHY_CHARS) }
}

const bodyOf = ({ is, why, result }: Outcome) => ({
  is,
  ...(why == null ? {} : { why }),
  ...(result == null ? {} : { result: JSON.stringify(result) })
})

/** It has no outcome. */
const isOpen = ({ state }: StoredCommand): boolean => state === 'received' || state === 'started'

const outcomeOf = ({ state, why, result }: StoredCommand): Outcome =>
  state === 'received' || state === 'started'
    ? { is: 'unknown', why: ENDED }
    : { is: state, ...(why == null ? {} : { why }), ...(result == null ? {} : { result }) }
