/** SQL scripts of the service's database; only ever added to. */
export const MIGRATIONS = [
  `CREATE TABLE command (peer TEXT NOT NULL, id TEXT NOT NULL, tv TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
     answer TEXT, PRIMARY KEY (peer, id)) WITHOUT ROWID;
   CREATE TABLE booking (tv TEXT NOT NULL, who TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
     why TEXT NOT NULL);
   CREATE INDEX booking_tv ON booking (tv, to_ms);`,
  // when the power of which TV was cut
  'CREATE TABLE cut (tv TEXT NOT NULL, at INTEGER NOT NULL)',
  // campaigns and cards: those that this node has signed, and those that it was given; which nodes have which of its own
  `CREATE TABLE document (kind TEXT NOT NULL, issuer TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
     bytes BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (kind, issuer, name)) WITHOUT ROWID;
   CREATE TABLE delivery (kind TEXT NOT NULL, name TEXT NOT NULL, agent TEXT NOT NULL, version INTEGER NOT NULL,
     why TEXT, PRIMARY KEY (kind, name, agent)) WITHOUT ROWID;
   CREATE TABLE pinned (cid TEXT PRIMARY KEY) WITHOUT ROWID;
   -- the showing under way, and the campaign that was shown last
   CREATE TABLE showing (tv TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE last (tv TEXT PRIMARY KEY, issuer TEXT NOT NULL, name TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE shown (issuer TEXT NOT NULL, name TEXT NOT NULL, tv TEXT NOT NULL, n INTEGER NOT NULL,
     PRIMARY KEY (issuer, name, tv)) WITHOUT ROWID;`,
  'CREATE TABLE repair (tv TEXT NOT NULL, at INTEGER NOT NULL, step TEXT NOT NULL); CREATE INDEX repair_tv ON repair (tv, at)',
  // when this service has pinned it; whoever pins it later is its owner
  'ALTER TABLE pinned ADD COLUMN at INTEGER',
  // the service devices has commands
  'DROP TABLE command'
]
