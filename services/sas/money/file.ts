import { z } from 'zod'
import { readOwnFile } from '../../host/index.ts'
import { amount } from './amount.ts'
import { KEY_BYTES } from './frames.ts'

const MAX_BYTES = 1024 * 1024
const serial = z.string().min(1).max(40)

const moneyFile = z.strictObject({
  money: z.enum(['on', 'off']),
  /** of one order */
  perCommand: amount,
  /** of all machines within 24 hours */
  perDay: amount,
  /** machines that are registered for transfers, by serial number */
  machines: z
    .record(
      serial,
      z.strictObject({
        asset: z.int().min(1).max(0xffff_ffff),
        key: z
          .string()
          .regex(new RegExp(`^[\\da-f]{${2 * KEY_BYTES}}$`, 'i'), `must be ${KEY_BYTES} bytes in hex`)
      })
    )
    .default({})
})
export type MoneyFile = z.output<typeof moneyFile>

/**
 * The owner's own file, which no command can change: without it, and where others can read or write it, nothing moves
 * money. Read anew for each order, so that taking it away ends all. Never throws: `why` says what is wrong.
 */
export async function readMoneyFile(path: string | undefined): Promise<MoneyFile | { why: string }> {
  if (path == null) return { why: 'money is off here; see sas.moneyFile' }
  try {
    const read = moneyFile.safeParse(JSON.parse(await readOwnFile(path, MAX_BYTES)))
    if (!read.success)
      return { why: `${path}: ${z.prettifyError(read.error).replaceAll('\n', ' ').slice(0, 300)}` }
    return read.data.money === 'on' ? read.data : { why: `money is off in ${path}` }
  } catch (error) {
    return { why: `${path} cannot be read: ${(error as Error).message}` }
  }
}
