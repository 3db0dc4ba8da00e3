import type { DatabaseSync } from 'node:sqlite'
import type { SeenEntry } from '../alerts/watch.ts'
import { OUTCOMES, type Outcome } from './command.ts'

/* Stands in the database of the series, and is made out of the log as they are: what was written there was done. */
export const COMMANDS = `
  -- those that this node was asked for; hash: of what was signed; result: JSON
  CREATE TABLE command (
    issuer TEXT NOT NULL,
    id TEXT NOT NULL,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    args TEXT NOT NULL,
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    why TEXT,
    result TEXT,
    PRIMARY KEY (issuer, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX commandByState ON command (state);

  -- commands that were issued by then are let go: none of them is taken for a new one
  CREATE TABLE commandFloor (
    issuer TEXT PRIMARY KEY,
    issued INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`

/** Entries about commands of the fleet; devices have events of their own about what their drivers do. */
export const COMMAND = 'fleet-command'
const KEPT_MS = 7 * 24 * 3_600_000
const DAY_MS = 24 * 3_600_000

export type CommandState = 'received' | 'started' | Outcome['is']

export interface StoredCommand {
  issuer: string
  id: string
  device: string
  name: string
  hash: string
  args: Record<string, unknown>
  issued: number
  expires: number
  state: CommandState
  why?: string
  result?: unknown
}

/** What an entry says. `received` and `refused` say what it was, the others how it went on. */
export interface CommandBody {
  issuer: string
  id: string
  is: CommandState | 'forged' | 'repeated'
  /** as JSON, as their numbers can be of kinds that JSON does not have */
  args?: string
  name?: string
  /** who at the issuer, and who signed beside it */
  by?: string
  signers?: string[]
  hash?: string
  issued?: number
  expires?: number
  why?: string
  result?: string
}

export function createCommandStore(db: DatabaseSync, self: string) {
  const insert = db.prepare('INSERT OR IGNORE INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)')
  const update = db.prepare('UPDATE command SET state = ?, why = ?, result = ? WHERE issuer = ? AND id = ?')
  const find = db.prepare('SELECT * FROM command WHERE issuer = ? AND id = ?')
  const open = db.prepare(`SELECT * FROM command WHERE state IN ('received', 'started') AND device = ?`)
  const count = db.prepare(
    `SELECT count(*) AS n FROM command WHERE issuer = ? AND at > ? AND state NOT IN ('refused', 'expired')`
  )
  const countAll = db.prepare('SELECT count(*) AS n FROM command WHERE issuer = ?')
  const floor = db.prepare('SELECT issued FROM commandFloor WHERE issuer = ?')

  return {
    /** In the transaction that says how far the log was read. */
    onEntry({ agent, device, kind, body, at }: SeenEntry): void {
      if (agent !== self || kind !== COMMAND) return
      const { is, issuer, id, name, hash, args, issued, expires, why, result } = body as never as CommandBody
      if (is === 'received' || is === 'refused' || is === 'expired')
        if (hash != null)
          insert.run(issuer, id, device, name!, hash, args!, issued!, expires!, at, is, why ?? null)
      if (is === 'started' || (OUTCOMES as readonly string[]).includes(is))
        update.run(is, why ?? null, result ?? null, issuer, id)
    },
    find(issuer: string, id: string): StoredCommand | undefined {
      const row = find.get(issuer, id)
      return row && asCommand(row as never)
    },
    /** Those of a device that were taken and have no outcome. */
    open: (device: string): StoredCommand[] => open.all(device).map(row => asCommand(row as never)),
    today: (issuer: string, now: number): number => (count.get(issuer, now - DAY_MS) as { n: number }).n,
    kept: (issuer: string): number => (countAll.get(issuer) as { n: number }).n,
    forgottenUpTo: (issuer: string): number =>
      (floor.get(issuer) as { issued: number } | undefined)?.issued ?? 0,
    tidy(now: number): void {
      const before = now - KEPT_MS
      db.prepare(
        `INSERT INTO commandFloor SELECT issuer, max(issued) FROM command WHERE expires < ? GROUP BY issuer
         ON CONFLICT (issuer) DO UPDATE SET issued = max(issued, excluded.issued)`
      ).run(before)
      db.prepare('DELETE FROM command WHERE expires < ?').run(before)
    }
  }
}

export type CommandStore = ReturnType<typeof createCommandStore>

interface Row extends Omit<StoredCommand, 'args' | 'result' | 'why'> {
  args: string
  why: string | null
  result: string | null
}

const asCommand = ({ args, why, result, ...row }: Row): StoredCommand => ({
  ...row,
  args: JSON.parse(args) as Record<string, unknown>,
  ...(why == null ? {} : { why }),
  ...(result == null ? {} : { result: JSON.parse(result) as unknown })
})
