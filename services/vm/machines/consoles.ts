import type { Uuid } from '../contract.ts'
import { parseId } from '../core/grammar.ts'
import { holderOf, type Keyboard, typedBy } from '../core/keyboard.ts'
import { QemuError } from '../errors.ts'
import type { Context } from './context.ts'
import type { Power } from './power.ts'

/** Most bytes of one answer. */
const ANSWER_BYTES = 32_768

export interface ConsoleRequest {
  vm: string
  /** bytes that were seen already */
  after: number
  input?: string | undefined
  /** several windows of one caller are several who type */
  session: string
  takeOver: boolean
  /** ms to wait for something new */
  waitMs: number
}

export interface ConsoleAnswer {
  /** bytes since the machine started; what `after` is next */
  at: number
  /** one character a byte */
  text: string
  writer: 'you' | 'other' | 'none'
}

/** Serial ports for people: any number look, one types. */
export function createConsoles(context: Context, power: Power, signal: AbortSignal) {
  const keyboards = new Map<Uuid, Keyboard>()

  /** @throws NotFoundError, ForbiddenError, BusyError while somebody else types, QemuError where nobody reads it */
  async function use(caller: string, request: ConsoleRequest): Promise<ConsoleAnswer> {
    const { vm, input, session, takeOver, waitMs } = request
    const isTyping = input !== undefined
    const machine = await context.find(caller, parseId(vm), isTyping ? 'write-console' : 'watch-console')
    const { console } = power.live(machine.uuid)
    const who = `${caller} ${session}`
    if (isTyping) {
      const keyboard = typedBy(keyboards.get(machine.uuid), who, context.now(), { takesOver: takeOver })
      if (!console.write(Buffer.from(input)))
        throw new QemuError(
          `machine ${machine.id} takes no input: it does not run, or its guest does not read`
        )
      keyboards.set(machine.uuid, keyboard)
    }
    // who has seen more than there is saw the machine before its last start
    const after = request.after > console.received ? 0 : request.after
    if (waitMs > 0 && console.received === after) await news(console.watch, waitMs, signal)
    const recent = console.recent()
    const missing = Math.min(recent.length, Math.max(0, console.received - after), ANSWER_BYTES)
    const holder = holderOf(keyboards.get(machine.uuid), context.now())
    return {
      at: console.received,
      text: recent.subarray(recent.length - missing).toString('latin1'),
      writer: holder === undefined ? 'none' : holder === who ? 'you' : 'other'
    }
  }

  return { use }
}

/** Until something comes, the time is over, or the service stops. */
function news(watch: (viewer: () => void) => () => void, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      stop()
      resolve()
    }
    const timer = setTimeout(done, ms)
    const stop = watch(done)
    signal.addEventListener('abort', done, { once: true })
  })
}
