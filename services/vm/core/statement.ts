import { createHash } from 'node:crypto'
import { encodeValue } from '../../../sandbox/index.ts'
import { type Description, description } from '../machines/description.ts'

export const RELEASE_DOMAIN = 'release/1'
export const RECEIPT_DOMAIN = 'receipt/1'
const VERSION = 1

/** What the source of a move signs when it lets go of a machine, and the target when it has it. */
export function statement(move: string, source: string, target: string, told: Description): Uint8Array {
  // parsed, its fields are in the order of the schema
  const digest = createHash('sha256')
    .update(JSON.stringify(description.parse(told)))
    .digest()
  return encodeValue([VERSION, move, told.machine.uuid, source, target, Uint8Array.from(digest)])
}
