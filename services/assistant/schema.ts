/** The file of the service. Add to the list, never change it. */
export const MIGRATIONS = [
  `CREATE TABLE users (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL,
     quota INTEGER,
     spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
     seen INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE holds (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     amount INTEGER NOT NULL CHECK (amount >= 0)
   ) STRICT;
   CREATE INDEX holds_of ON holds (user);
   CREATE TABLE namespaces (id TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE spending (
     day INTEGER NOT NULL,
     user TEXT NOT NULL,
     model TEXT NOT NULL,
     calls INTEGER NOT NULL DEFAULT 0,
     saved INTEGER NOT NULL DEFAULT 0,
     cost INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (day, user, model)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE providers (name TEXT PRIMARY KEY, provider TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE cache (
     key BLOB PRIMARY KEY,
     namespace TEXT NOT NULL,
     value BLOB NOT NULL,
     created INTEGER NOT NULL,
     expires INTEGER NOT NULL,
     hits INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX cache_of ON cache (namespace);
   CREATE INDEX cache_expires ON cache (expires)`,
  `CREATE TABLE chats (id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE bot (next INTEGER NOT NULL) STRICT;
   INSERT INTO bot (next) VALUES (0)`,
  `CREATE TABLE jobs (
     id TEXT PRIMARY KEY,
     user TEXT NOT NULL,
     state TEXT NOT NULL,
     question BLOB NOT NULL,
     error TEXT,
     created INTEGER NOT NULL,
     ended INTEGER
   ) STRICT;
   CREATE INDEX jobs_state ON jobs (state, created)`,
  // what is worth least is found without a look at the values
  'CREATE INDEX cache_worth ON cache (created, hits, length(value), key)',
  // they end with the process, and are kept in it
  'DROP TABLE holds',
  // of an answer that nodes of a group share: who signed it, as JSON
  'ALTER TABLE cache ADD COLUMN statement TEXT',
  `ALTER TABLE bot ADD COLUMN messenger TEXT NOT NULL DEFAULT 'telegram';
   INSERT INTO bot (next, messenger) VALUES (0, 'messenger')`,
  // ms since 1970 of a place, which is one for a day
  `ALTER TABLE bot ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
   UPDATE bot SET at = unixepoch() * 1000`,
  // transfers that were counted, by who pays and their number in his chain
  `CREATE TABLE payments (
     user TEXT NOT NULL,
     seq INTEGER NOT NULL,
     PRIMARY KEY (user, seq)
   ) STRICT, WITHOUT ROWID`
]
