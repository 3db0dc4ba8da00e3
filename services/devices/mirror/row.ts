import { isDeepStrictEqual } from 'node:util'
import type { Chains } from '../delivery/chains.ts'
import type { Batch } from '../log/batch.ts'
import { decodeEntry, hashOf } from '../log/entry.ts'
import { toJson } from '../series/to-json.ts'
import { unfold } from '../series/unfold.ts'

/** An entry as it stands in the database; its place in the log is its key. */
export interface Row {
  seq: number
  atMs: number
  device: string
  class: string
  kind: string
  /** JSON */
  body: string
  hash: Uint8Array
}

/** The rows of a batch; what a chain before has already is none. */
export async function rowsOf({ from, entries }: Batch, chains: Pick<Chains, 'find' | 'of'>): Promise<Row[]> {
  const rows: Row[] = []
  for (const [i, bytes] of entries.entries()) {
    const entry = await unfold(decodeEntry(bytes), chains)
    if (entry == null) continue
    const { timeMs: atMs, device, class: kindOf, kind, body } = entry
    rows.push({
      seq: from + i,
      atMs,
      device: clean(device),
      class: kindOf,
      kind: clean(kind),
      body: clean(toJson(body)),
      hash: hashOf(bytes)
    })
  }
  return rows
}

/** A row as the database gives it. */
export interface StoredRow extends Omit<Row, 'body'> {
  body: unknown
}

export const isSame = (row: Row, { body, hash, ...rest }: StoredRow): boolean =>
  Buffer.compare(row.hash, hash) === 0 &&
  rest.atMs === row.atMs &&
  rest.device === row.device &&
  rest.class === row.class &&
  rest.kind === row.kind &&
  isDeepStrictEqual(body, JSON.parse(row.body))

/** PostgreSQL has no NUL, and no halves of characters; the entry itself stays in the log. */
const clean = (text: string): string =>
  text
    .replace(/\\u(0000|d[89a-f][\da-f]{2})|(\\[^u])/gi, (_, wrong?: string, other?: string) =>
      wrong == null ? other! : '\ufffd'
    )
    .replaceAll('\0', '\ufffd')
    .toWellFormed()
