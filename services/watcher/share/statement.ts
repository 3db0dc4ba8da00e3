import { createHash } from 'node:crypto'
import { merkleTree } from '../../../ledger/index.ts'
import { encodeValue } from '../../../sandbox/index.ts'
import { textOf } from '../core/compare.ts'
import type { Fields } from '../extract/contract.ts'
import type { SharedRule, Statement } from '../messages.ts'

/** Domain of the signature. */
export const LOOK = 'look'

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** SHA-256 of what of a rule others see; the same pages read in the same way. */
export const hashOf = (rule: SharedRule): string => sha256(encodeValue(rule))

export const snapshotOf = (pages: readonly { hash: string }[]): string =>
  sha256(pages.map(({ hash }) => hash).join('\n'))

/** The same for the same items, in whatever order they stand on the page. The first leaf is the rule, so no tree is empty. */
export function rootOf(rule: string, items: ReadonlyMap<string, Fields>): string {
  const leaves = [...items.values()].map(textOf).sort()
  return Buffer.from(merkleTree([rule, ...leaves].map(leaf => Buffer.from(leaf))).root).toString('hex')
}

/** What is signed; of who says no region as before there were any. */
export const bytesOf = (
  rule: string,
  { at, snapshot, root, region }: Omit<Statement, 'signature'>
): Uint8Array => encodeValue({ rule, at, snapshot, root, ...(region === '' ? {} : { region }) })
