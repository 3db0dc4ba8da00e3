import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { transact } from '../../host/index.ts'
import { ADMIN_ROLE, FIRST_ROLES, type Role } from './roles.ts'

const KEY_BYTES = 32

/** One after the other, never changed once they were published; `user_version` says how many were done. */
const MIGRATIONS = [
  `CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL, created INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0, password TEXT, totp TEXT, totp_step INTEGER NOT NULL DEFAULT 0, enrolling TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL, account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created INTEGER NOT NULL, used INTEGER NOT NULL, expires INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS sessions_account ON sessions (account, used);
  CREATE TABLE IF NOT EXISTS invitations (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL, account TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS invitations_account ON invitations (account);
  CREATE TABLE IF NOT EXISTS roles (name TEXT PRIMARY KEY, scopes TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;`
]

export interface StoredAccount {
  id: string
  /** of the name */
  key: string
  name: string
  role: string
  created: number
  disabled: number
  password: string | null
  totp: string | null
  /** of the last code that was taken */
  totp_step: number
  /** a second factor that was not confirmed yet */
  enrolling: string | null
}

export interface StoredSession {
  id: string
  hash: string
  account: string
  created: number
  used: number
  expires: number
  address: string
  agent: string
}

export interface StoredInvitation {
  id: string
  hash: string
  account: string | null
  role: string
  created: number
  expires: number
}

export type Store = ReturnType<typeof openStore>

/**
 * People, sessions, invitations and roles in a SQLite file for its owner's eyes only (0600): it holds the secrets of
 * second factors. What was deleted is overwritten.
 */
export function openStore(file: string) {
  // SQLite gives its other files the mode of this one
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
  const db = new DatabaseSync(file)
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON'
  )
  const all = <T>(sql: string) => {
    const statement = db.prepare(sql)
    return (...values: SQLInputValue[]) => statement.all(...values) as T[]
  }
  const one = <T>(sql: string) => {
    const statement = db.prepare(sql)
    return (...values: SQLInputValue[]) => statement.get(...values) as T | undefined
  }
  const run = (sql: string) => {
    const statement = db.prepare(sql)
    return (...values: SQLInputValue[]) => Number(statement.run(...values).changes)
  }

  const atOnce = <T>(work: () => T): T => transact(db, work)

  migrate()

  function migrate(): void {
    const { user_version: done } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (done > MIGRATIONS.length)
      throw new Error(
        `${file} is of a newer version of Artel (${done} > ${MIGRATIONS.length}); start that one`
      )
    atOnce(() => {
      for (const sql of MIGRATIONS.slice(done)) db.exec(sql)
      // what a repair could not read is there again
      const roles = done === 0 ? FIRST_ROLES : FIRST_ROLES.filter(({ name }) => name === ADMIN_ROLE)
      for (const { name, scopes } of roles)
        db.prepare('INSERT OR IGNORE INTO roles VALUES (?, ?)').run(name, JSON.stringify(scopes))
      db.prepare('INSERT OR IGNORE INTO keys VALUES (?, ?)').run('devices', randomBytes(KEY_BYTES))
      db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
    })
  }

  const setRole = run('INSERT OR REPLACE INTO roles (name, scopes) VALUES (?, ?)')
  const roles = all<{ name: string; scopes: string }>('SELECT name, scopes FROM roles ORDER BY name')
  const insertAccount = run('INSERT INTO accounts (id, key, name, role, created) VALUES (?, ?, ?, ?, ?)')
  const insertSession = run('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const insertInvitation = run('INSERT INTO invitations VALUES (?, ?, ?, ?, ?, ?)')
  const patches = new Map<string, ReturnType<typeof run>>()

  return {
    atOnce,
    deviceKey: one<{ key: Uint8Array }>("SELECT key FROM keys WHERE name = 'devices'")()!.key,
    close: () => db.close(),

    roles: (): Role[] => roles().map(({ name, scopes }) => ({ name, scopes: JSON.parse(scopes) })),
    role: one<{ scopes: string }>('SELECT scopes FROM roles WHERE name = ?'),
    setRole: ({ name, scopes }: Role) => setRole(name, JSON.stringify(scopes)),
    removeRole: run('DELETE FROM roles WHERE name = ?'),

    accounts: all<StoredAccount>('SELECT * FROM accounts ORDER BY key'),
    account: one<StoredAccount>('SELECT * FROM accounts WHERE id = ?'),
    accountByKey: one<StoredAccount>('SELECT * FROM accounts WHERE key = ?'),
    countAccounts: one<{ n: number }>('SELECT count(*) AS n FROM accounts'),
    addAccount: ({
      id,
      key,
      name,
      role,
      created
    }: Pick<StoredAccount, 'id' | 'key' | 'name' | 'role' | 'created'>) =>
      insertAccount(id, key, name, role, created),
    removeAccount: run('DELETE FROM accounts WHERE id = ?'),
    patchAccount(id: string, patch: Partial<Omit<StoredAccount, 'id' | 'key' | 'name' | 'created'>>): void {
      const columns = Object.keys(patch)
      const sql = `UPDATE accounts SET ${columns.map(name => `${name} = ?`).join(', ')} WHERE id = ?`
      if (!patches.has(sql)) patches.set(sql, run(sql))
      patches.get(sql)!(...(Object.values(patch) as SQLInputValue[]), id)
    },

    sessions: all<StoredSession>('SELECT * FROM sessions ORDER BY used DESC'),
    sessionsOf: all<StoredSession>('SELECT * FROM sessions WHERE account = ? ORDER BY used DESC'),
    session: one<StoredSession>('SELECT * FROM sessions WHERE id = ?'),
    addSession: (each: StoredSession) =>
      insertSession(
        each.id,
        each.hash,
        each.account,
        each.created,
        each.used,
        each.expires,
        each.address,
        each.agent
      ),
    noteUse: run('UPDATE sessions SET used = ? WHERE id = ?'),
    removeSession: run('DELETE FROM sessions WHERE id = ?'),
    sweepSessions: run('DELETE FROM sessions WHERE expires <= ? OR used <= ?'),

    invitations: all<StoredInvitation>('SELECT * FROM invitations ORDER BY created DESC'),
    invitation: one<StoredInvitation>('SELECT * FROM invitations WHERE id = ?'),
    addInvitation: ({ id, hash, account, role, created, expires }: StoredInvitation) =>
      insertInvitation(id, hash, account, role, created, expires),
    removeInvitation: run('DELETE FROM invitations WHERE id = ?'),
    removeInvitationsOf: run('DELETE FROM invitations WHERE account = ?'),
    sweepInvitations: run('DELETE FROM invitations WHERE expires <= ?')
  }
}
