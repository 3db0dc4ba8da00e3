/* Stands in the database of the series: an alert and how far the log was read are one transaction. */
export const ALERTS = `
  -- the rule as JSON
  CREATE TABLE rule (
    name TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    rule TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- key: hash of rule, device and the entry that opened it, so that every node that keeps the log has the same
  CREATE TABLE alert (
    key TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    agent TEXT NOT NULL,
    device TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    number INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    value TEXT NOT NULL,
    count INTEGER NOT NULL,
    openedAt INTEGER NOT NULL,
    heardAt INTEGER NOT NULL,
    firedAt INTEGER,
    acknowledgedAt INTEGER,
    acknowledgedBy TEXT,
    note TEXT,
    resolvedAt INTEGER,
    -- 1: that it fires, 2: also that it is over; written down to be told, and heard by all receivers
    queued INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX alertOpen ON alert (rule, agent, device) WHERE resolvedAt IS NULL;
  CREATE INDEX alertByTime ON alert (heardAt);
  CREATE INDEX alertToTell ON alert (firedAt) WHERE queued < 2;

  -- what rules on absence and growth compare with
  CREATE TABLE heard (
    rule TEXT NOT NULL,
    agent TEXT NOT NULL,
    device TEXT NOT NULL,
    number INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value REAL,
    PRIMARY KEY (rule, agent, device)
  ) STRICT, WITHOUT ROWID;

  -- messages that a receiver has not taken yet; keys: of the alerts, as JSON
  CREATE TABLE message (
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    step INTEGER NOT NULL,
    keys TEXT NOT NULL,
    body TEXT NOT NULL,
    createdAt INTEGER NOT NULL,
    PRIMARY KEY (id, url)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE silence (
    id INTEGER PRIMARY KEY,
    devices TEXT NOT NULL,
    rule TEXT,
    until INTEGER NOT NULL,
    why TEXT NOT NULL,
    by TEXT NOT NULL
  ) STRICT;
`

/**
 * Added later: 1: written down to be told that nobody looks after it, 2: told, or somebody does at another node. Later
 * still, where others have heard so: 3: also that it is over, 4: told.
 */
export const ESCALATION = `
  ALTER TABLE alert ADD COLUMN escalated INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE alert ADD COLUMN escalatedAt INTEGER;
`

export const ENDS_OF_ESCALATIONS = `
  -- until now whoever told the one told the other, too
  UPDATE alert SET escalated = 4 WHERE escalatedAt IS NOT NULL AND queued = 2;
  CREATE INDEX alertToEnd ON alert (resolvedAt) WHERE escalatedAt IS NOT NULL AND escalated < 3;
`
