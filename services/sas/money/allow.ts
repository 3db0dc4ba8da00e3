import type { MachineState } from '../machine/machine.ts'
import { centsOf, textOf } from './amount.ts'
import type { MoneyFile } from './file.ts'
import type { Order } from './order.ts'

/** A machine that was not heard for so long may be another one. */
const HEARD_MS = 5_000

/** What must be known before one byte goes out. */
export interface Facts {
  file: MoneyFile
  /** the one of that serial number, as it is polled here */
  machine: Readonly<MachineState> | undefined
  /** cents of the last 24 hours, without what has failed */
  today: bigint
  /** an order of that machine whose end nobody knows */
  open: string | undefined
  now: number
}

/** Why an order is not carried out; undefined: all of it is right. Who may order was decided before. Pure. */
export function whyNot(what: Order, { file, machine, today, open, now }: Facts): string | undefined {
  const cents = centsOf(what.amount)!
  if (cents > centsOf(file.perCommand)!) return `${what.amount} is more than ${file.perCommand} for one order`
  if (today + cents > centsOf(file.perDay)!)
    return `${textOf(today)} of ${file.perDay} for 24 hours have been ordered already`
  if (machine == null || !machine.isUp) return `no machine ${what.machine} answers here`
  if (machine.heardAt == null || now - machine.heardAt > HEARD_MS)
    return `${what.machine} was not heard for ${HEARD_MS / 1000} s`
  if (open != null) return `order ${open} of ${what.machine} has no end yet; see sas payments`
  return undefined
}
