import type { Queries } from './database.ts'

/** What an owner has paid this host beforehand, and what of it is used up; micro-credits. */
export interface Account {
  paid: number
  used: number
  /** ms since 1970 */
  emptySince: number | undefined
}

export async function accountOf(db: Queries, owner: string): Promise<Account> {
  const [row] = await db.query('SELECT * FROM accounts WHERE owner = $1', owner)
  return {
    paid: (row?.paid_micro as number) ?? 0,
    used: (row?.used_micro as number) ?? 0,
    emptySince: (row?.empty_since as number | null) ?? undefined
  }
}

async function add(db: Queries, owner: string, paid: number, used: number, now: number): Promise<void> {
  await db.query(
    `INSERT INTO accounts (owner, paid_micro, used_micro, metered_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (owner) DO UPDATE SET paid_micro = accounts.paid_micro + excluded.paid_micro,
       used_micro = accounts.used_micro + excluded.used_micro, metered_at = excluded.metered_at`,
    ...[owner, paid, used, now]
  )
}

/** Within a transaction; a payment counts once, by its place among the orders of its payer. */
export async function bookPayment(
  db: Queries,
  payer: string,
  seq: number,
  micro: number,
  now: number
): Promise<boolean> {
  const rows = await db.query(
    'INSERT INTO payments (payer, seq, micro) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING seq',
    ...[payer, seq, micro]
  )
  if (rows.length === 1) await add(db, payer, micro, 0, now)
  return rows.length === 1
}

/** Within a transaction: uses so much up. The account as it is then. */
export async function useUp(db: Queries, owner: string, micro: number, now: number): Promise<Account> {
  await add(db, owner, 0, micro, now)
  const account = await accountOf(db, owner)
  const emptySince = account.paid > account.used ? undefined : (account.emptySince ?? now)
  await db.query('UPDATE accounts SET empty_since = $2 WHERE owner = $1', owner, emptySince ?? null)
  return { ...account, emptySince }
}
