/*
 * What this node keeps, and why. A root is a file or folder with the blocks below it. It stays while the owner has it
 * pinned or while it is held for another peer; fetched once, until its room is wanted.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- cid: null while it is being added; size: of the file, or of all files in the folder; cost: bytes of a quota
  CREATE TABLE root (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cid TEXT UNIQUE,
    type TEXT NOT NULL DEFAULT 'file',
    size INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL DEFAULT 0,
    blocks INTEGER NOT NULL DEFAULT 0,
    isWhole INTEGER NOT NULL DEFAULT 0,
    usedAt INTEGER NOT NULL
  ) STRICT;

  -- pass: the last walk over the root that saw it
  CREATE TABLE block (
    root INTEGER NOT NULL,
    cid BLOB NOT NULL,
    cost INTEGER NOT NULL,
    pass INTEGER NOT NULL,
    PRIMARY KEY (root, cid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blockByCid ON block (cid);
  CREATE TRIGGER blockCounts AFTER INSERT ON block BEGIN
    UPDATE root SET cost = cost + new.cost, blocks = blocks + 1 WHERE id = new.root;
  END;

  CREATE TABLE name (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    cid TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX nameByCid ON name (cid);

  -- what the owner wants to keep, and how many other nodes shall have a copy
  CREATE TABLE pin (root INTEGER PRIMARY KEY, wanted INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE INDEX pinByTime ON pin (at, root);

  CREATE TABLE holder (
    root INTEGER NOT NULL,
    peer TEXT NOT NULL,
    state TEXT NOT NULL,
    seenAt INTEGER NOT NULL,
    grownAt INTEGER NOT NULL,
    silentSince INTEGER,
    bytes INTEGER NOT NULL,
    provedAt INTEGER,
    PRIMARY KEY (root, peer)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE leftOut (
    root INTEGER NOT NULL,
    peer TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (root, peer)
  ) STRICT, WITHOUT ROWID;

  -- holders that have not heard yet that they may let go
  CREATE TABLE letGo (
    cid TEXT NOT NULL,
    peer TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (cid, peer)
  ) STRICT, WITHOUT ROWID;

  -- held for others; granted: what it may cost
  CREATE TABLE hold (
    root INTEGER NOT NULL,
    peer TEXT NOT NULL,
    granted INTEGER NOT NULL,
    seenAt INTEGER NOT NULL,
    PRIMARY KEY (root, peer)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX holdByPeer ON hold (peer);

  -- paths that are being added, to go on after a restart
  CREATE TABLE adding (
    root INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    wanted INTEGER NOT NULL
  ) STRICT;
  `
]
