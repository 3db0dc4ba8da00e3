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

/**
 * The last thing before the wire: nothing that is not allowed goes out, whoever asks for it. Nothing allows what moves
 * money.
 */
export function guarded(line: Line, mayControl: () => boolean): Line {
  return {
    get errors() {
      return line.errors
    },
    async ask(message, signal) {
      const risk = riskOfMessage(message)
      if (risk === 'money')
        throw new PollRefusedError(`${hex(message)} moves money, or is not known; it is never sent`)
      if (risk === 'control' && !mayControl())
        throw new PollRefusedError(
          `${hex(message)} changes what the machine does; set sas.control to allow it on this node`
        )
      return line.ask(message, signal)
    }
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 16)).toString('hex')
