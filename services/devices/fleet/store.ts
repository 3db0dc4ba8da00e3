import type { DatabaseSync } from 'node:sqlite'
import type { Signed } from '../../host/index.ts'

/* Stands in the database of the series. */
export const FLEET = `
  -- the newest document; confirmedAt: when an owner said last that there is no newer one, ms since 1970
  CREATE TABLE fleet (
    fleet TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    bytes BLOB NOT NULL,
    signature BLOB NOT NULL,
    confirmedAt INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`

export function createFleetStore(db: DatabaseSync, fleet: string) {
  const find = db.prepare('SELECT issuer, bytes, signature, confirmedAt FROM fleet WHERE fleet = ?')
  const put = db.prepare('INSERT OR REPLACE INTO fleet VALUES (?, ?, ?, ?, ?)')
  const confirm = db.prepare('UPDATE fleet SET confirmedAt = ? WHERE fleet = ?')
  return {
    read: () => find.get(fleet) as (Signed & { confirmedAt: number }) | undefined,
    save: ({ issuer, bytes, signature }: Signed, confirmedAt: number): void =>
      void put.run(fleet, issuer, bytes, signature, confirmedAt),
    confirm: (at: number): void => void confirm.run(at, fleet)
  }
}

export type FleetStore = ReturnType<typeof createFleetStore>
