import { PollRefusedError } from '../errors.ts'
import type { Line } from '../poller.ts'
import { type Risk, riskOf } from '../tables/polls.ts'

/** What a message may do, as it goes onto the wire. */
export function riskOfMessage(message: Uint8Array): Risk {
  if (message.length === 1) return message[0]! >= 0x80 ? 'telemetry' : 'money'
  // what goes to all machines at once is at least control
  if (message[0] === 0 && riskOf(message[1]!, message.subarray(2, -2)) !== 'money') return 'control'
  return riskOf(message[1]!, message.subarray(2, -2))
}

/** A line that lets out what is allowed. */
export interface GuardedLine extends Line {
  /** Lets exactly this message out, once, though it moves money. What it returns takes that back. */
  allowOnce(message: Uint8Array): Disposable
}

/**
 * The last thing before the wire: nothing that is not allowed goes out, whoever asks for it. What moves money needs a
 * permit for its very bytes, which is used up by the first try.
 */
export function guarded(line: Line, mayControl: () => boolean): GuardedLine {
  let permit: string | undefined
  return {
    get errors() {
      return line.errors
    },
    allowOnce(message) {
      permit = whole(message)
      return {
        [Symbol.dispose]() {
          permit = undefined
        }
      }
    },
    async ask(message, signal) {
      const risk = riskOfMessage(message)
      if (risk === 'money') {
        if (permit !== whole(message))
          throw new PollRefusedError(
            `${hex(message)} moves money, or is not known; it is sent for an order with two signatures only`
          )
        permit = undefined
      }
      if (risk === 'control' && !mayControl())
        throw new PollRefusedError(
          `${hex(message)} changes what the machine does; set sas.control to allow it on this node`
        )
      return line.ask(message, signal)
    }
  }
}

const whole = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const hex = (bytes: Uint8Array): string => whole(bytes.subarray(0, 16))
