/* What a node keeps. Ids of events and envelopes are hex of their SHA-256. Deleted rows are overwritten (`secure_delete`). */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE own (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

  -- the roster; decision: how its place was decided, none for the founding
  CREATE TABLE statement (
    n INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL,
    signature BLOB NOT NULL,
    decision BLOB
  ) STRICT;

  -- of a mailbox: what it promised and accepted in slots
  CREATE TABLE slot (key TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT, WITHOUT ROWID;

  -- of a mailbox: envelopes, by the position in which they came
  CREATE TABLE envelope (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    bytes BLOB NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX envelopeByAddress ON envelope (address, position);
  CREATE INDEX envelopeByAge ON envelope (at);

  -- of a mailbox: key packages that devices left
  CREATE TABLE package (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    bytes BLOB NOT NULL,
    isLast INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX packageByDevice ON package (device, isLast);

  -- private parts of the own ones
  CREATE TABLE ownPackage (
    id TEXT PRIMARY KEY,
    publicBytes BLOB NOT NULL,
    privateBytes BLOB NOT NULL,
    isLast INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- of groups; state, address, slot: of those that this device is in
  CREATE TABLE generation (
    grp TEXT NOT NULL,
    g INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    signature BLOB NOT NULL,
    state BLOB,
    address TEXT,
    PRIMARY KEY (grp, g)
  ) STRICT, WITHOUT ROWID;

  -- bytes: none where it was deleted
  CREATE TABLE event (
    id TEXT PRIMARY KEY,
    grp TEXT NOT NULL,
    device TEXT NOT NULL,
    seq INTEGER NOT NULL,
    timeMs INTEGER NOT NULL,
    kind TEXT NOT NULL,
    target TEXT,
    bytes BLOB,
    signature BLOB,
    mark TEXT NOT NULL,
    UNIQUE (grp, device, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX eventByTime ON event (grp, timeMs, id);
  CREATE INDEX eventByTarget ON event (target) WHERE target IS NOT NULL;

  -- events whose parents, generation or roster are not here yet
  CREATE TABLE waiting (
    id TEXT PRIMARY KEY,
    grp TEXT NOT NULL,
    bytes BLOB NOT NULL,
    signature BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- envelopes that a mailbox does not have yet
  CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox TEXT NOT NULL,
    envelope BLOB NOT NULL,
    event TEXT
  ) STRICT;
  CREATE INDEX outboxByMailbox ON outbox (mailbox, n);

  -- how far a mailbox was read; life: of its disk
  CREATE TABLE cursor (
    mailbox TEXT NOT NULL,
    life TEXT NOT NULL,
    address TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (mailbox, address)
  ) STRICT, WITHOUT ROWID;

  -- envelopes that were read
  CREATE TABLE seen (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  -- invitations to groups that are not joined yet
  CREATE TABLE welcome (
    id TEXT PRIMARY KEY,
    bytes BLOB NOT NULL,
    at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- what other devices said that they have and their people have read
  CREATE TABLE mark (
    grp TEXT NOT NULL,
    device TEXT NOT NULL,
    have TEXT NOT NULL,
    readMs INTEGER NOT NULL,
    PRIMARY KEY (grp, device)
  ) STRICT, WITHOUT ROWID;

  -- sealed parts of files
  CREATE TABLE blob (id TEXT PRIMARY KEY, bytes BLOB NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE VIRTUAL TABLE search USING fts5 (words, id UNINDEXED, grp UNINDEXED, tokenize = 'unicode61');
  INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
  `,
  `
  -- what was written under which key of the writer
  CREATE TABLE sent (key TEXT PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- of the generations that have a state: the keys of what each member writes
  CREATE TABLE ratchet (
    grp TEXT NOT NULL,
    g INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (grp, g, leaf)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- content goes to the end of its table, wherever its id is in an index; words are found by the number of their event
  PRAGMA secure_delete = ON;
  CREATE TABLE numbered (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    grp TEXT NOT NULL,
    device TEXT NOT NULL,
    seq INTEGER NOT NULL,
    timeMs INTEGER NOT NULL,
    kind TEXT NOT NULL,
    target TEXT,
    bytes BLOB,
    signature BLOB,
    mark TEXT NOT NULL,
    UNIQUE (grp, device, seq)
  ) STRICT;
  INSERT INTO numbered (id, grp, device, seq, timeMs, kind, target, bytes, signature, mark)
    SELECT id, grp, device, seq, timeMs, kind, target, bytes, signature, mark FROM event ORDER BY timeMs, id;
  DROP TABLE event;
  ALTER TABLE numbered RENAME TO event;
  CREATE INDEX eventByTime ON event (grp, timeMs, id);
  CREATE INDEX eventByTarget ON event (target) WHERE target IS NOT NULL;
  DROP TABLE search;
  CREATE VIRTUAL TABLE search USING fts5 (words, tokenize = 'unicode61');
  INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
  `,
  `
  -- people whose home this node is: their folder, and the invitation that no device of theirs used yet
  CREATE TABLE hosted (user TEXT PRIMARY KEY, folder TEXT NOT NULL, invite TEXT) STRICT, WITHOUT ROWID;
  `,
  `
  -- the few of a chat that are looked for by their kind
  CREATE INDEX eventByKind ON event (grp, kind, timeMs, id) WHERE kind IN ('pin', 'silence', 'mute');
  `,
  `
  CREATE INDEX eventLeaving ON event (grp) WHERE kind = 'leave';
  `,
  `
  -- in quiet hours: events that say they are of before, and when they came
  CREATE TABLE late (
    grp TEXT NOT NULL,
    device TEXT NOT NULL,
    seq INTEGER NOT NULL,
    heardMs INTEGER NOT NULL,
    PRIMARY KEY (grp, device, seq)
  ) STRICT, WITHOUT ROWID;

  -- what was written in quiet hours, and goes when they end
  CREATE TABLE later (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    grp TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  `
]
