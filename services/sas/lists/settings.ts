import { join } from 'node:path'
import { z } from 'zod'
import { placeOf } from '../line/name.ts'
import { parsed, textOf } from './read.ts'

/** A number, or digits. */
const digits = z
  .union([
    z.int().min(0),
    z
      .string()
      .regex(/^\d{1,7}$/, 'must be a number, or digits')
      .transform(Number)
  ])
  .optional()
const fields = z
  .strictObject({
    com_port: z.string().max(100),
    address: digits,
    baudrate: digits,
    /** not needed here: the line says how the bit is set, the mirror of the service devices has the database */
    wakeup_bit: digits,
    db_driver: z.string().max(200).optional()
  })
  .superRefine(({ com_port, address = 1 }, context) => {
    const isFile = placeOf(com_port) != null
    if (!isFile || placeOf(`${com_port}#${address}`) == null)
      context.addIssue({
        code: 'custom',
        path: [isFile ? 'address' : 'com_port'],
        message: isFile ? 'must be 1 to 16' : 'must be /dev/… or tcp://host:port'
      })
  })

/**
 * The machine of `settings.json`, for nodes whose own settings name none; undefined: there is no such file.
 *
 * @throws {ListFileError}
 */
export async function machineOf(folder: string): Promise<{ place: string; baudRate?: number } | undefined> {
  const path = join(folder, 'settings.json')
  const text = await textOf(path)
  if (text == null) return undefined
  const { com_port, address = 1, baudrate } = parsed(path, text, fields)
  return { place: `${com_port}#${address}`, ...(baudrate == null ? {} : { baudRate: baudrate }) }
}
