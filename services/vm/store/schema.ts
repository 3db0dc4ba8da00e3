/**
 * The tables, in SQL that PostgreSQL and SQLite both speak. Times are ms since 1970, flags 0 or 1, structures JSON.
 * An entry is applied once and never changed; what comes later is appended.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE machines (
     uuid TEXT PRIMARY KEY, owner TEXT NOT NULL, id TEXT NOT NULL, ram_mb BIGINT NOT NULL, cpu BIGINT NOT NULL,
     active BIGINT NOT NULL, authenticated BIGINT NOT NULL, desired TEXT NOT NULL, pending TEXT, spec TEXT NOT NULL,
     created_at BIGINT NOT NULL, removed_at BIGINT);
   CREATE UNIQUE INDEX machines_name ON machines (owner, id) WHERE active = 1;
   CREATE INDEX machines_id ON machines (id);
   CREATE TABLE layers (uuid TEXT PRIMARY KEY, parent TEXT, owner TEXT NOT NULL);
   CREATE TABLE disks (
     uuid TEXT PRIMARY KEY, owner TEXT NOT NULL, id TEXT NOT NULL, machine TEXT NOT NULL, size_gb BIGINT NOT NULL,
     active BIGINT NOT NULL, top TEXT NOT NULL, created_at BIGINT NOT NULL, removed_at BIGINT);
   CREATE UNIQUE INDEX disks_name ON disks (owner, id) WHERE active = 1;
   CREATE INDEX disks_machine ON disks (machine);
   CREATE TABLE snapshots (
     uuid TEXT PRIMARY KEY, machine TEXT NOT NULL, name TEXT NOT NULL, at BIGINT NOT NULL,
     scheduled BIGINT NOT NULL, disks TEXT NOT NULL);
   CREATE UNIQUE INDEX snapshots_name ON snapshots (machine, name);
   CREATE TABLE schedules (machine TEXT PRIMARY KEY, pattern TEXT NOT NULL, keep BIGINT NOT NULL);
   CREATE TABLE grants (machine TEXT NOT NULL, peer TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (machine, peer));
   CREATE INDEX grants_peer ON grants (peer);
   CREATE TABLE operations (
     machine TEXT PRIMARY KEY, kind TEXT NOT NULL, caller TEXT NOT NULL, epoch TEXT NOT NULL, started_at BIGINT NOT NULL,
     detail TEXT NOT NULL);
   CREATE TABLE events (seq BIGINT PRIMARY KEY, machine TEXT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
   CREATE INDEX events_machine ON events (machine, seq);
   CREATE TABLE nonces (nonce TEXT PRIMARY KEY, caller TEXT NOT NULL, expires BIGINT NOT NULL, answer TEXT NOT NULL);
   CREATE INDEX nonces_expires ON nonces (expires);
   CREATE TABLE accounts (owner TEXT PRIMARY KEY, paid_micro BIGINT NOT NULL, used_micro BIGINT NOT NULL, metered_at BIGINT NOT NULL);
   CREATE TABLE payments (payer TEXT NOT NULL, seq BIGINT NOT NULL, micro BIGINT NOT NULL, PRIMARY KEY (payer, seq))`,
  `ALTER TABLE layers ADD COLUMN cid TEXT;
   ALTER TABLE machines ADD COLUMN purged BIGINT NOT NULL DEFAULT 0;
   CREATE INDEX layers_parent ON layers (parent);
   CREATE INDEX disks_top ON disks (top);
   CREATE TABLE moves (
     id TEXT PRIMARY KEY, machine TEXT NOT NULL, direction TEXT NOT NULL, peer TEXT NOT NULL, phase TEXT NOT NULL,
     description TEXT NOT NULL, files TEXT NOT NULL, at BIGINT NOT NULL);
   CREATE INDEX moves_machine ON moves (machine)`,
  `ALTER TABLE schedules ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
   ALTER TABLE snapshots ADD COLUMN memory TEXT`,
  'ALTER TABLE accounts ADD COLUMN empty_since BIGINT',
  'CREATE TABLE seen (host TEXT PRIMARY KEY, machines TEXT NOT NULL)'
]
