/** SQL scripts of the service's database; only ever added to. */
export const MIGRATIONS = [
  `CREATE TABLE command (peer TEXT NOT NULL, id TEXT NOT NULL, tv TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
     answer TEXT, PRIMARY KEY (peer, id)) WITHOUT ROWID;
   CREATE TABLE booking (tv TEXT NOT NULL, who TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
     why TEXT NOT NULL);
   CREATE INDEX booking_tv ON booking (tv, to_ms);`,
  // when the power of which TV was cut
  'CREATE TABLE cut (tv TEXT NOT NULL, at INTEGER NOT NULL)'
]
