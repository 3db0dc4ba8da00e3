/** SQL scripts of the service's database; only ever added to. */
export const MIGRATIONS = [
  `CREATE TABLE payment (id TEXT PRIMARY KEY, machine TEXT NOT NULL, place TEXT NOT NULL, does TEXT NOT NULL,
     cents INTEGER NOT NULL, credits INTEGER NOT NULL, signers TEXT NOT NULL, at INTEGER NOT NULL,
     -- before it was sent: status of the machine's last transfer, and the meter of such payments
     before_status INTEGER, before_meter INTEGER NOT NULL,
     taken INTEGER NOT NULL DEFAULT 0, heard TEXT NOT NULL DEFAULT '[]', ending TEXT, why TEXT) WITHOUT ROWID;
   CREATE INDEX payment_machine ON payment (machine, ending);
   CREATE INDEX payment_at ON payment (at)`,
  'ALTER TABLE payment ADD COLUMN hash TEXT',
  `CREATE TABLE listed_once (hash TEXT NOT NULL, target TEXT NOT NULL, at INTEGER NOT NULL,
     PRIMARY KEY (hash, target)) WITHOUT ROWID`,
  'CREATE TABLE imported (file TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID'
]
