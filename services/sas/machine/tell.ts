import { ackOf } from '../frames.ts'
import type { MachineAnswer } from './devices.ts'
import type { Turn } from './turn.ts'

/** What a machine said to a long poll. */
export function answerOf(address: number, frame: Uint8Array | undefined): MachineAnswer {
  if (frame == null) return { is: 'silent' }
  const ack = ackOf(address, frame)
  if (ack == null) return { is: 'answered', frame }
  return { is: ack === 'ack' ? 'acknowledged' : 'refused' }
}

/** Sends a poll; both it and how it ended are in the log. `begin`: it is written that it is tried, and not sent yet. */
export async function tell(
  { address, long, note }: Turn,
  message: Uint8Array,
  begin?: () => void
): Promise<MachineAnswer> {
  const poll = Buffer.from(message).toString('hex')
  // what was meant is on the disk before it is tried
  await note('command', { poll, is: 'tried' })
  begin?.()
  const answer = answerOf(address, await long(message))
  await note('command', {
    poll,
    is: answer.is,
    ...(answer.is === 'answered' ? { frame: Buffer.from(answer.frame).toString('hex') } : {})
  })
  return answer
}
