import type { DatabaseSync } from 'node:sqlite'
import type { Does } from './order.ts'
import { type Ending, TELLING } from './settle.ts'

const DAY_MS = 86_400_000

/** An order that was tried. */
export interface Payment {
  id: string
  /** of the whole order; undefined: it was tried before hashes were kept */
  hash: string | undefined
  /** serial number */
  machine: string
  /** line#address */
  place: string
  does: Does
  cents: number
  credits: number
  /** peer ids */
  signers: string[]
  /** ms since 1970 */
  at: number
  before: { status: number | undefined; meter: number }
  /** the machine has said that it does it */
  isTaken: boolean
  heard: number[]
  /** undefined: it may still be under way */
  ending?: Ending
}

interface Row {
  id: string
  hash: string | null
  machine: string
  place: string
  does: Does
  cents: number
  credits: number
  signers: string
  at: number
  before_status: number | null
  before_meter: number
  taken: number
  heard: string
  ending: Ending['is'] | null
  why: string | null
}

/** What was tried, each on the disk before it is; nothing of it is ever removed. */
export function createJournal(db: DatabaseSync, now: () => number) {
  const put = db.prepare(
    `INSERT INTO payment (id, hash, machine, place, does, cents, credits, signers, at, before_status, before_meter)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
  )
  const one = db.prepare('SELECT * FROM payment WHERE id = ?')
  const under = db.prepare('SELECT * FROM payment WHERE ending IS NULL')
  const without = db.prepare(
    `SELECT id FROM payment WHERE machine = ? AND (ending IS NULL OR ending = 'unknown') LIMIT 1`
  )
  const newest = db.prepare('SELECT * FROM payment ORDER BY at DESC LIMIT ?')
  // also what a clock that was set back has put into the future
  const since = db.prepare(
    `SELECT coalesce(sum(cents), 0) AS cents FROM payment WHERE at > ? AND ending IS NOT 'failed'`
  )
  const hear = db.prepare('UPDATE payment SET heard = ? WHERE id = ?')
  const take = db.prepare('UPDATE payment SET taken = 1 WHERE id = ?')
  const finish = db.prepare('UPDATE payment SET ending = ?, why = ? WHERE id = ?')

  const open = (): Payment[] => (under.all() as unknown as Row[]).map(paymentOf)

  return {
    find(id: string): Payment | undefined {
      const row = one.get(id) as unknown as Row | undefined
      return row && paymentOf(row)
    },
    /** On the disk when it returns. Throws where the id was used. */
    begin({
      id,
      hash,
      machine,
      place,
      does,
      cents,
      credits,
      signers,
      before
    }: Omit<Payment, 'at' | 'isTaken' | 'heard' | 'ending'>): void {
      put.run(
        id,
        hash ?? null,
        machine,
        place,
        does,
        cents,
        credits,
        JSON.stringify(signers),
        now(),
        before.status ?? null,
        before.meter
      )
    },
    taken: (id: string): void => void take.run(id),
    end: (id: string, { is, why }: Ending): void => void finish.run(is, why ?? null, id),
    /** Those that may still be under way. */
    open,
    /** An order of that machine without a known end. */
    openOf: (machine: string): string | undefined => (without.get(machine) as { id: string } | undefined)?.id,
    today: (): bigint => BigInt((since.get(now() - DAY_MS) as { cents: number }).cents),
    newest: (limit: number): Payment[] => (newest.all(limit) as unknown as Row[]).map(paymentOf),
    /** A machine at that place has said something. */
    heard(place: string, code: number): void {
      if (!TELLING.includes(code)) return
      for (const each of open())
        if (each.place === place) hear.run(JSON.stringify([...each.heard, code].slice(-100)), each.id)
    }
  }
}

export type Journal = ReturnType<typeof createJournal>
export type Intent = Parameters<Journal['begin']>[0]

function paymentOf(row: Row): Payment {
  const { hash, before_status, before_meter, taken, heard, signers, ending, why, ...rest } = row
  return {
    ...rest,
    hash: hash ?? undefined,
    signers: JSON.parse(signers) as string[],
    heard: JSON.parse(heard) as number[],
    isTaken: taken === 1,
    before: { status: before_status ?? undefined, meter: before_meter },
    ...(ending == null ? {} : { ending: { is: ending, ...(why == null ? {} : { why }) } })
  }
}
