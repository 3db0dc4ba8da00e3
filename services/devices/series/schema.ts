import { ALERTS, ENDS_OF_ESCALATIONS, ESCALATION } from '../alerts/schema.ts'
import { COMMANDS } from '../commands/store.ts'
import { HEADS } from '../delivery/heads.ts'
import { FLEET } from '../fleet/store.ts'
import { SEGMENTS } from '../log/keep-room.ts'
import { LATE_CLOCK } from './late-clock.ts'

/*
 * What can be asked about devices, made out of the logs; it can be deleted and is made again. `seen` says how far each
 * chain was read, in the same transaction as what was read: nothing is counted twice.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE seen (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (agent, number)
  ) STRICT, WITHOUT ROWID;

  -- the newest of each device; lists and values as JSON
  CREATE TABLE device (
    agent TEXT NOT NULL,
    id TEXT NOT NULL,
    about TEXT,
    readings TEXT NOT NULL DEFAULT '{}',
    readAt INTEGER,
    eventAt INTEGER,
    PRIMARY KEY (agent, id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE event (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    device TEXT NOT NULL,
    class TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (agent, number, seq)
  ) STRICT;
  CREATE INDEX eventByTime ON event (at, agent, number, seq);
  CREATE INDEX eventByDevice ON event (device, at, agent, number, seq);

  -- numbers by minute and hour; t: ms since 1970 of its beginning
  CREATE TABLE rollup (
    agent TEXT NOT NULL,
    device TEXT NOT NULL,
    reading TEXT NOT NULL,
    step INTEGER NOT NULL,
    t INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum REAL NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (device, reading, step, t, agent)
  ) STRICT, WITHOUT ROWID;

  -- what witnesses have signed about the own chains
  CREATE TABLE receipt (
    number INTEGER NOT NULL,
    witness TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    timeMs INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (number, witness)
  ) STRICT, WITHOUT ROWID;

  -- two batches of one number that an agent signed: one is in its chain, this is the other
  CREATE TABLE fork (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    batch BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (agent, number)
  ) STRICT, WITHOUT ROWID;
  `,
  'CREATE INDEX eventByKind ON event (device, kind, agent, number, seq)',
  ALERTS,
  FLEET,
  COMMANDS,
  ESCALATION,
  ENDS_OF_ESCALATIONS,
  HEADS,
  `
  -- entries whose time was to come when they were read
  CREATE TABLE ahead (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (agent, number)
  ) STRICT, WITHOUT ROWID;
  `,
  SEGMENTS,
  LATE_CLOCK
]
