import { FrameError } from '../errors.ts'
import { isForEverybody } from '../frames.ts'
import type { MachineAnswer } from '../machine/devices.ts'
import { type ListedPoll, saidIn } from './listed-poll.ts'

/** What a machine said to a poll. */
export interface Said {
  /** command and data in hex */
  poll: string
  /** told: all machines of the line hear it, and none answers */
  is: MachineAnswer['is'] | 'told'
  /** the answer in hex */
  frame?: string
  /** by name, where a table knows what it says */
  values?: Record<string, number | string>
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Of a message and its answer. Pure. */
export function saidOf(
  address: number,
  message: Uint8Array,
  answer: MachineAnswer,
  sizes?: ListedPoll['length_to_read_per_meter']
): Said {
  // polls without data have no checksum
  const poll = hex(message.length === 2 ? message.subarray(1) : message.subarray(1, -2))
  if (isForEverybody(message)) return { poll, is: 'told' }
  if (answer.is !== 'answered') return { poll, is: answer.is }
  const said = { poll, is: answer.is, frame: hex(answer.frame) }
  try {
    const values = saidIn(address, { command: message[1]!, length_to_read_per_meter: sizes }, answer.frame)
    return values == null ? said : { ...said, values }
  } catch (error) {
    // its digits are none: that is for people to see
    if (!(error instanceof FrameError)) throw error
    return said
  }
}
