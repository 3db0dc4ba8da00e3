import type { HostOf } from '../../host/index.ts'
import type { declaration } from '../declaration.ts'
import { FrameError, UnknownMachineError } from '../errors.ts'
import { clockPoll, longMetersPoll, longPoll, metersPoll, POLL_HEX, pollOf, readPoll } from '../frames.ts'
import { listedPoll, messageOf } from '../lists/listed-poll.ts'
import { type Said, saidOf } from '../lists/said.ts'
import type { Machine } from '../machine/machine.ts'
import { exchanged } from '../money/amount.ts'
import { EXCEPTIONS } from '../tables/exceptions.ts'
import type { Commands, MachineEvent, Ordered } from './contract.ts'

const WAIT_MS = 30_000
const MAX_KEPT = 100
/** Events that wait for a handler; more are left out, and that is told. */
const MAX_WAITING = 100
/** A proposal waits no longer for its second signer. */
const PROPOSED_MINUTES = 1
const MAX_CODES = 10
const IDENTIFY = 0x54
const GAME = 0x1f

export interface CommandsInit {
  machine: Machine
  devices: Pick<HostOf<typeof declaration>['use']['devices'], 'command'>
  /** runs a set there */
  run(set: string, signal: AbortSignal): Promise<Said[]>
  /** whose program it is, in the log of what was proposed */
  by: string
  now(): number
  /** what does not work of the program now; undefined: it does */
  onState(why: string | undefined): void
  /** of the service */
  signal: AbortSignal
}

/** What a program does with one machine, and where it hears what the machine says. */
export function createCommands(init: CommandsInit): { commands: Commands; tell(code: number): void } {
  const { machine, devices, by, now, onState } = init
  const { line, address } = machine.state
  const kept: MachineEvent[] = []
  const handlers = new Set<(event: MachineEvent) => void>()

  const until = (signal?: AbortSignal): AbortSignal =>
    AbortSignal.any([init.signal, AbortSignal.timeout(WAIT_MS), ...(signal == null ? [] : [signal])])

  const ask = async (
    message: Uint8Array,
    signal?: AbortSignal,
    sizes?: Record<string, number>
  ): Promise<Said> => saidOf(address, message, await machine.send(message, until(signal)), sizes)

  const control = (command: number, signal?: AbortSignal): Promise<Said> =>
    ask(longPoll(address, command), signal)

  async function order(
    name: string,
    amount: string,
    { second, signal }: { second: string; signal?: AbortSignal }
  ): Promise<Ordered> {
    const { serial } = machine.state
    if (serial == null) throw new UnknownMachineError(`nobody answers at ${line}, address ${address}`)
    const wanted = { device: `sas:${serial}`, name, args: { amount }, second, minutes: PROPOSED_MINUTES }
    const { is, id = '' } = (await devices.command(wanted, by, until(signal))) as { is: string; id?: string }
    return { id, is, amount }
  }

  const commands: Commands = {
    place: `${line}#${address}`,

    async machine({ signal } = {}) {
      const id = await ask(readPoll(address, IDENTIFY), signal)
      const game = await ask(readPoll(address, GAME), signal)
      const text = (said: Said, name: string): string | undefined => said.values?.[name]?.toString()
      const [version, name, paytable] = [text(id, 'version'), text(game, 'id'), text(game, 'paytable')]
      return {
        ...machine.state,
        ...(version == null ? {} : { version }),
        ...(name == null ? {} : { game: name }),
        ...(paytable == null ? {} : { paytable })
      }
    },

    async meters(codes, game = 0, { signal } = {}) {
      const found: Record<string, number> = {}
      for (let at = 0; at < codes.length; at += MAX_CODES) {
        const some = codes.slice(at, at + MAX_CODES)
        const isLong = some.some(code => code > 0xff)
        const { values } = await ask(
          isLong ? longMetersPoll(address, 0x6f, game, some) : metersPoll(address, game, some),
          signal
        )
        if (values == null) return undefined
        Object.assign(found, values)
      }
      return found
    },

    exceptions: () => [...kept],
    setTime: (at = new Date(), { signal } = {}) => ask(clockPoll(address, at), signal),
    lock: ({ signal } = {}) => control(0x01, signal),
    enable: ({ signal } = {}) => control(0x02, signal),
    bills: (on, { signal } = {}) => control(on ? 0x06 : 0x07, signal),

    async jackpot(value, { rate = '1', ...wait }) {
      const { amount, left } = exchanged(value, rate)
      return { ...(await order('bonus', amount, wait)), left }
    },
    transfer: (amount, { back = false, ...wait }) => order(back ? 'collect' : 'transfer', amount, wait),

    raw(poll, { signal } = {}) {
      if (typeof poll !== 'string') {
        const listed = listedPoll.parse(poll)
        return ask(messageOf(address, listed), signal, listed.length_to_read_per_meter)
      }
      if (!POLL_HEX.test(poll)) throw new FrameError(`"${poll}" is no poll; write it in hex, as 1a`)
      return ask(pollOf(address, Buffer.from(poll, 'hex')), signal)
    },

    on(code, handler, { signal } = {}) {
      let waiting = 0
      let before: Promise<unknown> = Promise.resolve()
      function hear(event: MachineEvent): void {
        if (code !== 'any' && event.code !== code) return
        if (waiting >= MAX_WAITING) {
          onState(`more than ${MAX_WAITING} events wait for it; the rest is in the log only`)
          return
        }
        waiting++
        before = before.then(async () => {
          try {
            if (handlers.has(hear)) await handler(event, { signal: until(signal) })
            onState(undefined)
          } catch (error) {
            if (!init.signal.aborted) onState((error as Error).message)
          } finally {
            waiting--
          }
        })
      }
      const end = (): void => {
        handlers.delete(hear)
        signal?.removeEventListener('abort', end)
      }
      if (signal?.aborted) return end
      handlers.add(hear)
      signal?.addEventListener('abort', end)
      return end
    },

    run: (set, { signal } = {}) => init.run(set, until(signal))
  }

  return {
    commands,
    tell(code) {
      const event = { code, ...(EXCEPTIONS[code] == null ? {} : { what: EXCEPTIONS[code] }), at: now() }
      kept.push(event)
      if (kept.length > MAX_KEPT) kept.shift()
      for (const handler of handlers) handler(event)
    }
  }
}
