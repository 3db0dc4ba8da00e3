import type { Queries } from './database.ts'

/** The machines that another host showed when it was asked last, as JSON. */
export async function keepSeen(db: Queries, host: string, machines: unknown[]): Promise<void> {
  await db.query(
    `INSERT INTO seen (host, machines) VALUES ($1, $2)
     ON CONFLICT (host) DO UPDATE SET machines = excluded.machines WHERE seen.machines <> excluded.machines`,
    ...[host, JSON.stringify(machines)]
  )
}

export async function seenAt<T>(db: Queries, host: string): Promise<T[]> {
  const [row] = await db.query<{ machines: string }>('SELECT machines FROM seen WHERE host = $1', host)
  return row === undefined ? [] : JSON.parse(row.machines)
}

/** Hosts that showed any. */
export async function seenHosts(db: Queries): Promise<string[]> {
  const sql = `SELECT host FROM seen WHERE machines <> '[]' ORDER BY host`
  return (await db.query<{ host: string }>(sql)).map(({ host }) => host)
}
