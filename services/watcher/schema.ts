/** See store.ts. Add to the list, never change it. */
export const MIGRATIONS = [
  `
  CREATE TABLE rule (
    id TEXT PRIMARY KEY,
    version TEXT NOT NULL,          -- SHA-256 of the body
    body TEXT NOT NULL,
    signature BLOB NOT NULL,
    dueAt INTEGER NOT NULL,         -- ms since 1970
    isPaused INTEGER NOT NULL DEFAULT 0,
    isBased INTEGER NOT NULL DEFAULT 0, -- a right fetch of this version was kept
    history TEXT NOT NULL DEFAULT '[]', -- figures of the last right fetches
    broken INTEGER NOT NULL DEFAULT 0,  -- broken fetches in a row
    logins TEXT NOT NULL DEFAULT '[]',  -- ms since 1970
    last TEXT                       -- how the last fetch ended
  ) STRICT;
  CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    rule TEXT NOT NULL REFERENCES rule ON DELETE CASCADE,
    key TEXT NOT NULL,
    fields TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0,
    isGone INTEGER NOT NULL DEFAULT 0,
    UNIQUE (rule, key)
  ) STRICT;
  CREATE VIRTUAL TABLE words USING fts5 (tokens, skeletons, tokenize = "unicode61 remove_diacritics 0");
  CREATE TRIGGER item_gone AFTER DELETE ON item BEGIN DELETE FROM words WHERE rowid = old.id; END;
  CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL REFERENCES rule ON DELETE CASCADE,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    old TEXT,
    new TEXT
  ) STRICT;
  CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY,
    rule TEXT NOT NULL REFERENCES rule ON DELETE CASCADE,
    at INTEGER NOT NULL,            -- the same for all pages of a fetch
    url TEXT NOT NULL,
    hash TEXT NOT NULL,             -- SHA-256 of the bytes as they came
    text BLOB NOT NULL              -- gzip
  ) STRICT;
  CREATE INDEX snapshot_of ON snapshot (rule, at);
  CREATE TABLE subscription (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    cursor INTEGER NOT NULL,        -- number of the last event that is in a message
    dueAt INTEGER                   -- of the next digest; null: told at once
  ) STRICT;
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    subscription TEXT NOT NULL REFERENCES subscription ON DELETE CASCADE,
    name TEXT NOT NULL UNIQUE,      -- the same however often it is sent
    message TEXT NOT NULL,
    at INTEGER NOT NULL,
    dueAt INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting', -- sent, dead
    error TEXT
  ) STRICT;
  CREATE INDEX outbox_due ON outbox (state, subscription, id);
  `,
  // JSON: by what its host says whether it is still so, and since when it was not asked for all of it
  'ALTER TABLE snapshot ADD COLUMN validators TEXT'
]
