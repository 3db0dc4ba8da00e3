import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { Device, DeviceCommands } from '../machine/devices.ts'
import { amount } from './amount.ts'
import { DOES, type Does } from './order.ts'
import type { Payments } from './pay.ts'
import type { Ending } from './settle.ts'

/** between two looks at what has no end yet */
export const LOOK_MS = 500
/** a machine may be as long as that; it is asked on all the same */
const PAY_MS = 60_000

const SUMMARIES: Readonly<Record<Does, string>> = {
  transfer: 'brings credits to it',
  collect: 'takes credits back from it',
  bonus: 'pays a bonus',
  handpay: 'ends a handpay that was paid by hand'
}
const args = z.strictObject({ amount: amount.describe('exact, in the currency of the machine: 12.50') })

/**
 * What moves money at a machine. That two nodes have signed it, that they may, and that it is of now and done once, is the
 * part of the service devices; what must be true besides is looked at here.
 */
export function moneyCommands(machine: string, payments: Payments, last: Device['latest']): DeviceCommands {
  /** Waits for it as long as somebody does. */
  async function endOf(id: string, signal: AbortSignal): Promise<Ending> {
    for (;;) {
      const ending = payments.find(id)?.ending
      if (ending != null) return ending
      await delay(LOOK_MS, undefined, { signal })
    }
  }
  const command = (does: Does): DeviceCommands[string] => ({
    summary: SUMMARIES[does],
    risk: 3,
    args,
    deadlineMs: PAY_MS,
    async run({ amount: sum }, signal, of) {
      const answer = await payments.pay({ ...of, machine, does, amount: sum as string }, signal)
      const { is, why = is } = answer.is === 'open' ? await endOf(of.id, signal) : answer
      if (is !== 'done') throw Object.assign(new Error(why), { isUnknown: is === 'unknown' })
      return undefined
    },
    async look(_, signal, { id }) {
      // what was sent is in both; a journal that was lost says nothing
      if (payments.find(id) == null) return (await last('money'))?.id === id ? undefined : 'failed'
      const { is } = await endOf(id, signal)
      return is === 'unknown' ? undefined : is
    }
  })
  return Object.fromEntries(DOES.map(does => [does, command(does)]))
}
