import { clockPoll, longPoll, readPoll, valuesOf } from '../frames.ts'
import type { DeviceCommands, MachineAnswer } from './devices.ts'

const CREDITS = 0x1a

/** What machines are told without data, and answer with yes or no. */
const CONTROL = {
  lock: [0x01, 'nobody can play until it is enabled'],
  enable: [0x02, 'it can be played'],
  acceptBills: [0x06, 'it takes bills'],
  refuseBills: [0x07, 'it takes no bills']
} as const

/** To this machine, not to another one that stands there now. */
export type SendToMachine = (message: Uint8Array, signal: AbortSignal) => Promise<MachineAnswer>
export interface MachineCommandsInit {
  address: number
  send: SendToMachine
}

/**
 * What the fleet can do with a machine: who may, each once, and every step in the log is the service devices' part. What
 * changes it goes out where `sas.control` is on; what moves money is in `money/commands.ts`.
 */
export function machineCommands({ address, send }: MachineCommandsInit): DeviceCommands {
  async function tell(message: Uint8Array, signal: AbortSignal): Promise<undefined> {
    const { is } = await send(message, signal)
    if (is === 'refused') throw new Error('the machine refused it')
    // it may have been heard all the same
    if (is !== 'acknowledged')
      throw Object.assign(new Error('the machine did not say that it did'), { isUnknown: true })
  }
  const control = Object.entries(CONTROL).map(
    ([name, [code, summary]]) =>
      [
        name,
        { summary, risk: 2, run: (_: unknown, signal: AbortSignal) => tell(longPoll(address, code), signal) }
      ] as const
  )
  return {
    credits: {
      summary: 'how many credits are on it',
      risk: 0,
      async run(_, signal) {
        const answer = await send(readPoll(address, CREDITS), signal)
        if (answer.is !== 'answered') throw new Error('the machine does not say')
        return { credits: Number(valuesOf(address, CREDITS, answer.frame).credits) }
      }
    },
    ...Object.fromEntries(control),
    setClock: {
      summary: 'its clock is set to that of the node beside it',
      risk: 2,
      run: (_, signal) => tell(clockPoll(address, new Date()), signal)
    }
  }
}
