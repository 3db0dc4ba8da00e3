import { raceSignal } from 'race-signal'
import { FrameError, UnknownMachineError } from '../errors.ts'
import { gameInfoOf, machineIdOf, metersOf, metersPoll, readPoll } from '../frames.ts'
import type { GuardedLine } from '../line/guard.ts'
import { createPoller } from '../poller.ts'
import {
  EXCEPTIONS,
  HANDPAY_PENDING,
  HANDPAYS,
  MEMORY_RESET,
  METERS_RESET,
  OPTIONS_CHANGED,
  QUEUE_OVERFLOW
} from '../tables/exceptions.ts'
import { METERS } from '../tables/meters.ts'
import { machineCommands, type SendToMachine } from './commands.ts'
import {
  DENOMINATIONS,
  type Device,
  type DeviceCommands,
  type Devices,
  type MachineAnswer,
  openMachine,
  openPlace
} from './devices.ts'
import { grownBetween, hasFallen, type MeterRow, type Totals, totalsOf } from './readings.ts'
import { tell } from './tell.ts'
import type { Turn } from './turn.ts'

/** So many polls in a row without an answer, and nobody is there. */
const SILENT_POLLS = 3
const HOUR_MS = 3_600_000
/** Polls that wait for a machine which does not answer. */
const MAX_REQUESTS = 16
const IDENTIFY = 0x54
const GAME = 0x1f
const HANDPAY = 0x1b
const METER_CODES = Object.keys(METERS).map(Number)
const SERIAL = /^[\x21-\x7e]{1,40}$/

export interface MachineInit {
  /** of the line */
  lineName: string
  address: number
  line: GuardedLine
  devices: Devices
  /** what was said there is in the log, and the machine does not know yet that it was heard */
  onException(code: number): void
  /** what else the fleet can do with the machine of that serial number; `last`: the newest event of a kind */
  commands(serial: string, last: Device['latest'], send: SendToMachine): DeviceCommands
  /** what is due besides, in each of its turns: one poll at most */
  due(turn: Turn): Promise<void>
  /** seconds between two looks at the meters */
  meterSeconds(): number
  now(): number
}

export interface MachineState {
  line: string
  address: number
  isUp: boolean
  serial?: string
  /** ms since 1970 of the last answer */
  heardAt?: number
  exceptions: number
}

interface Request {
  work(turn: Turn): Promise<unknown>
  /** nobody waits for it any more */
  signal: AbortSignal
  done: PromiseWithResolvers<never>
}

/** One machine: what it says goes into the log, and only then it hears that it was heard. */
export async function createMachine(init: MachineInit) {
  const { lineName, address, devices, now } = init
  const place = await openPlace(devices, lineName, address)
  const requests: Request[] = []
  /** what it has said, and nobody has looked at yet */
  const said: number[] = []
  const state: MachineState = { line: lineName, address, isUp: false, exceptions: 0 }
  /** what the log says of it, also from before a restart */
  let wasUp = (await place.latest('link'))?.isUp === true
  let device: Device | undefined
  let creditCents: number | undefined
  let last: { totals: Totals; block: number; readAt: number; writtenAt: number } | undefined
  let why: MeterRow['why'] = 'start'
  let isCleared = false
  let isHandpayPending = false
  /** … and that was heard, and is not in the log as such */
  let isHandpayNew = false
  let silent = 0
  const poller = createPoller({
    address,
    line: init.line,
    journal: {
      async exception(code, mayRepeat) {
        await (device ?? place).event('exception', {
          code,
          ...(EXCEPTIONS[code] == null ? {} : { what: EXCEPTIONS[code] }),
          ...(mayRepeat ? { mayRepeat } : {})
        })
        init.onException(code)
        state.exceptions++
        said.push(code)
        if (HANDPAYS.includes(code)) {
          isHandpayPending = code === HANDPAY_PENDING
          isHandpayNew = true
        }
        if (code === METERS_RESET || code === MEMORY_RESET) isCleared = true
      }
    }
  })

  /** One general poll; false where nobody answers. */
  async function hear(signal: AbortSignal): Promise<boolean> {
    const code = await poller.general(signal)
    if (code == null) return false
    state.heardAt = now()
    return true
  }

  async function setUp(isUp: boolean): Promise<void> {
    if (state.isUp === isUp && wasUp === isUp) return
    await place.event('link', { isUp, ...(isUp ? { serial: state.serial! } : {}) })
    await place.sample({ isUp })
    wasUp = isUp
    state.isUp = isUp
  }

  async function ask<T>(
    command: number,
    decode: (frame: Uint8Array) => T,
    signal: AbortSignal
  ): Promise<T | undefined> {
    const frame = await poller.long(readPoll(address, command), signal)
    return frame == null || frame.length === 1 ? undefined : decode(frame)
  }

  /** Which machine it is; another one may stand there since it was silent. */
  async function identify(signal: AbortSignal): Promise<void> {
    const id = await ask(IDENTIFY, frame => machineIdOf(address, frame), signal)
    if (id == null) return
    const game = await ask(GAME, frame => gameInfoOf(address, frame), signal)
    // it becomes a name; some say nothing, or what is no text
    const serial = SERIAL.test(id.serial.trim()) ? id.serial.trim() : `${lineName}:${address}`
    if (state.serial != null && state.serial !== serial) {
      await place.event('swapped', { before: state.serial, now: serial })
      device?.close()
      // who it is is asked again where the log does not take it yet
      device = undefined
      last = undefined
    }
    const sendToIt: SendToMachine = (message, until) => send(message, until, serial)
    const opening: Promise<Device> = openMachine(devices, { ...id, serial }, game, {
      ...machineCommands({ address, send: sendToIt }),
      ...init.commands(serial, async kind => (await opening).latest(kind), sendToIt)
    })
    const opened = await opening
    if (last == null) {
      const row = ((await opened.latest('meters')) ?? (await opened.before('meters'))) as
        | Partial<MeterRow>
        | undefined
      if (row?.totals != null) last = { totals: row.totals, block: row.block ?? 0, readAt: 0, writtenAt: 0 }
      why = row?.totals == null ? 'first' : 'start'
      // it says so no more once it was asked what it is
      if (!isHandpayNew) isHandpayPending = (await opened.latest('handpay'))?.waits === true
    }
    device = opened
    state.serial = serial
    const worth = game == null ? undefined : DENOMINATIONS[game.denomination]
    creditCents = worth == null ? undefined : Math.round(100 * worth)
    await readMeters(signal)
  }

  async function askMeters(signal: AbortSignal) {
    const frame = await poller.long(metersPoll(address, 0, METER_CODES), signal)
    return frame == null || frame.length === 1 ? undefined : metersOf(address, 0x2f, frame).meters
  }

  async function readMeters(signal: AbortSignal): Promise<void> {
    let meters = await askMeters(signal)
    if (meters == null || device == null) return
    if (last != null && hasFallen(last.totals, totalsOf(meters))) {
      // read again: one wrong value would be a rollover. Between the two is another poll, or the second is a repeat.
      if (!(await hear(signal))) return
      const again = await askMeters(signal)
      if (again == null || hasFallen(totalsOf(meters), totalsOf(again))) return
      meters = again
    }
    const readAt = now()
    const totals = totalsOf(meters)
    // nothing is known of how long it was away
    const seconds = last == null || last.readAt === 0 ? HOUR_MS / 1000 : (readAt - last.readAt) / 1000
    const changed = grownBetween(last?.totals ?? totals, meters, { seconds, isCleared })
    const isChanged = Object.keys(changed.grown).length > 0 || changed.fell != null
    if (why !== 'growth' || isChanged || readAt - last!.writtenAt >= HOUR_MS) {
      const block = (last?.block ?? -1) + 1
      const reason = why !== 'growth' || isChanged ? why : 'hourly'
      await device.event('meters', { block, why: reason, totals, ...changed } satisfies MeterRow as never)
      await device.sample(totals)
      last = { totals, block, readAt, writtenAt: readAt }
    } else last = { ...last!, readAt }
    why = 'growth'
    isCleared = false
  }

  async function noteHandpay(own: Device, signal: AbortSignal): Promise<void> {
    if (!isHandpayNew) return
    isHandpayNew = false
    try {
      const waits = isHandpayPending
      await own.event('handpay', { waits })
      // it is said every 15 s until somebody asks what it is; nobody here can read the answer, which is in the log
      if (waits) await tell(turnOf(own, signal), readPoll(address, HANDPAY))
    } catch (error) {
      isHandpayNew = true
      throw error
    }
  }

  async function answerRequests(signal: AbortSignal): Promise<void> {
    for (let next = requests.shift(); next != null; next = requests.shift()) {
      const { work, done } = next
      // a command that comes late is not sent
      if (next.signal.aborted) continue
      try {
        if (device == null) throw new UnknownMachineError(`nobody answers at ${lineName}, address ${address}`)
        done.resolve((await work(turnOf(device, signal))) as never)
      } catch (error) {
        done.reject(error)
        if (signal.aborted) throw error
      }
    }
  }

  const turnOf = (own: Device, signal: AbortSignal): Turn => ({
    line: lineName,
    address,
    serial: state.serial!,
    creditCents,
    long: message => poller.long(message, signal),
    hear: () => hear(signal),
    async once(message, intent) {
      // what this poll tells the machine to have been heard is on the disk then
      if (!(await hear(signal)) || !(await poller.settle(signal)))
        throw new UnknownMachineError(`${lineName}, address ${address} does not answer; nothing was sent`)
      await intent()
      using _permit = init.line.allowOnce(message)
      return poller.once(message, signal)
    },
    note: (kind, body) => own.event(kind, body)
  })

  /** Does something with the machine when its turn comes, unless the signal comes first. @throws {UnknownMachineError} */
  async function turn<T>(work: (turn: Turn) => Promise<T>, signal: AbortSignal): Promise<T> {
    if (requests.length >= MAX_REQUESTS)
      throw new UnknownMachineError(`${lineName}, address ${address} does not answer; much waits for it`)
    const done = Promise.withResolvers<never>()
    requests.push({ work, signal, done })
    return raceSignal<T>(done.promise, signal)
  }

  /**
   * Sends one poll when its turn comes, unless the signal comes first; both are in the log.
   *
   * @param serial of the machine that it is for; default: whichever is there
   * @throws {UnknownMachineError} it is not there now
   * @throws {PollRefusedError}
   */
  const send = (message: Uint8Array, signal: AbortSignal, serial = state.serial): Promise<MachineAnswer> =>
    turn(async turn => {
      if (turn.serial !== serial) throw new UnknownMachineError(`${serial} is not there any more`)
      return tell(turn, message)
    }, signal)

  return {
    state: state as Readonly<MachineState>,
    /** it has said that one waits to be paid by hand, and not that it was */
    get isHandpayPending() {
      return isHandpayPending
    },
    /** Writes an event of the place that it is at, or of the machine while it is known which one it is. */
    note: (kind: 'money', body: Parameters<Device['event']>[1]) => (device ?? place).event(kind, body),

    /** One round: an exception, and what is due. What cannot be written is thrown, and comes again. */
    async step(signal: AbortSignal): Promise<void> {
      try {
        if (!(await hear(signal))) {
          silent++
          if (silent >= SILENT_POLLS) await this.lose()
        } else {
          silent = 0
          if (device == null) await identify(signal)
          const codes = said.splice(0)
          if (device != null) {
            if (codes.includes(OPTIONS_CHANGED)) await identify(signal)
            const isDue = last == null || now() - last.readAt >= init.meterSeconds() * 1000
            const isAsked = codes.some(code =>
              [METERS_RESET, MEMORY_RESET, OPTIONS_CHANGED, QUEUE_OVERFLOW].includes(code)
            )
            if (isDue || isAsked) await readMeters(signal)
            await setUp(true)
            await noteHandpay(device, signal)
            await init.due(turnOf(device, signal))
          }
        }
      } catch (error) {
        // what it said is no such frame: it is asked again
        if (!(error instanceof FrameError)) throw error
      }
      await answerRequests(signal)
    },

    /** Before another machine is polled, which says to this one that it was heard. */
    settle: poller.settle,

    /** Nobody is there: who comes next may be another one. */
    async lose(): Promise<void> {
      device?.close()
      device = undefined
      await setUp(false)
    },

    turn,

    send
  }
}

export type Machine = Awaited<ReturnType<typeof createMachine>>
