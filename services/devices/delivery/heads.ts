import type { DatabaseSync } from 'node:sqlite'
import type { ChainId } from '../log/entry.ts'
import type { Receipt } from './receipt.ts'

/* Stands in the database of the series. */
export const HEADS = `
  -- receipts for the hash of a head: those that this node gave, and the newest of each that it was given
  CREATE TABLE head (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    witness TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    timeMs INTEGER NOT NULL,
    signature BLOB NOT NULL,
    headSignature BLOB NOT NULL,
    PRIMARY KEY (agent, number, witness, seq)
  ) STRICT, WITHOUT ROWID;
`

/** Of one chain: one an hour, for more than two years. */
const MAX_HEADS = 20_000
const COLUMNS = 'witness, seq, hash, timeMs, signature, headSignature'

export type HashReceipt = Required<Receipt>

/** Receipts of who has seen the hash of a head only. */
export function createHeads(db: DatabaseSync) {
  const put = db.prepare('INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const find = db.prepare(
    `SELECT ${COLUMNS} FROM head WHERE agent = ? AND number = ? AND witness = ? AND seq >= ? ORDER BY seq LIMIT 1`
  )
  const last = db.prepare(
    `SELECT ${COLUMNS} FROM head WHERE agent = ? AND number = ? AND witness = ? ORDER BY seq DESC LIMIT 1`
  )
  const all = db.prepare(`SELECT ${COLUMNS} FROM head WHERE agent = ? AND number = ? ORDER BY seq`)
  const numbers = db.prepare('SELECT DISTINCT number FROM head WHERE agent = ? ORDER BY number')
  const forget = db.prepare(
    `DELETE FROM head WHERE agent = ?1 AND number = ?2 AND witness = ?3 AND seq <=
       (SELECT seq FROM head WHERE agent = ?1 AND number = ?2 AND witness = ?3 ORDER BY seq DESC LIMIT 1 OFFSET ?4)`
  )

  return {
    /** Keeps so many of its witness for its chain. */
    save({ agent, number }: ChainId, receipt: HashReceipt, most = MAX_HEADS): void {
      const { witness, seq, hash, timeMs, signature, headSignature } = receipt
      put.run(agent, number, witness, seq, hash, timeMs, signature, headSignature)
      forget.run(agent, number, witness, most)
    },
    /** The first one for that entry or a later one. */
    from: ({ agent, number }: ChainId, witness: string, seq: number) =>
      find.get(agent, number, witness, seq) as HashReceipt | undefined,
    newest: ({ agent, number }: ChainId, witness: string) =>
      last.get(agent, number, witness) as HashReceipt | undefined,
    /** Of all witnesses, the oldest first. */
    of: ({ agent, number }: ChainId) => all.all(agent, number) as unknown as HashReceipt[],
    /** Chains of an agent that there are any of, the newest last. */
    chains: (agent: string): number[] =>
      (numbers.all(agent) as { number: number }[]).map(({ number }) => number)
  }
}

export type Heads = ReturnType<typeof createHeads>
