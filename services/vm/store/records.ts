import type { Desired, Disk, Machine, Memory, Role, Schedule, Snapshot, Spec, Uuid } from '../contract.ts'
import type { Totals } from '../core/quota.ts'
import { StorageError } from '../errors.ts'
import { list, type Queries, type Row } from './database.ts'

const MACHINE = 'uuid, owner, id, ram_mb, cpu, active, authenticated, desired, pending, spec, removed_at'
/** Of a chain: it stands in one argument of QEMU, and Linux allows 128 KiB for one. */
export const MOST_LAYERS = 500
const DISK = 'uuid, owner, id, machine, size_gb, active, top'

function machineOf(row: Row): Machine {
  return {
    uuid: row.uuid as Uuid,
    owner: row.owner as string,
    id: row.id as string,
    ramMb: row.ram_mb as number,
    cpu: row.cpu as number,
    active: row.active === 1,
    authenticated: row.authenticated === 1,
    desired: row.desired as Desired,
    pending: row.pending === null ? undefined : JSON.parse(row.pending as string),
    spec: JSON.parse(row.spec as string) as Spec,
    removedAt: (row.removed_at as number | null) ?? undefined
  }
}

function diskOf(row: Row): Disk {
  return {
    uuid: row.uuid as Uuid,
    owner: row.owner as string,
    id: row.id as string,
    machine: row.machine as Uuid,
    sizeGb: row.size_gb as number,
    active: row.active === 1,
    top: row.top as Uuid
  }
}

function snapshotOf(row: Row): Snapshot {
  return {
    uuid: row.uuid as Uuid,
    machine: row.machine as Uuid,
    name: row.name as string,
    at: row.at as number,
    isScheduled: row.scheduled === 1,
    disks: JSON.parse(row.disks as string),
    ...(row.memory === null ? {} : { memory: JSON.parse(row.memory as string) as Memory })
  }
}

/** False where the owner has an active machine of that id. */
export async function insertMachine(db: Queries, machine: Machine, now: number): Promise<boolean> {
  const values = 'VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)'
  return (await insertInto(db, values, machine, now)).length === 1
}

/** False also where its owner would have more than these, or has figures that wait for a start: then count them. */
export async function insertMachineWithin(
  db: Queries,
  most: Totals,
  machine: Machine,
  now: number
): Promise<boolean> {
  const values = `
    SELECT $1, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT), $6, $7, $8, $9, $10, $11, $12
    FROM (SELECT count(*) AS machines, count(pending) AS waiting, coalesce(sum(ram_mb), 0) AS ram_mb,
        coalesce(sum(cpu), 0) AS cpu FROM machines WHERE owner = $2 AND active = 1) AS has
    WHERE waiting = 0 AND machines < CAST($13 AS BIGINT) AND ram_mb + CAST($4 AS BIGINT) <= CAST($14 AS BIGINT)
      AND cpu + CAST($5 AS BIGINT) <= CAST($15 AS BIGINT)`
  return (await insertInto(db, values, machine, now, most.machines, most.ramMb, most.cpu)).length === 1
}

function insertInto(db: Queries, source: string, machine: Machine, now: number, ...more: number[]) {
  const { uuid, owner, id, ramMb, cpu, active, authenticated, desired, pending, spec, removedAt } = machine
  return db.query(
    `INSERT INTO machines (${MACHINE}, created_at) ${source} ON CONFLICT DO NOTHING RETURNING uuid`,
    ...[uuid, owner, id, ramMb, cpu, Number(active), Number(authenticated), desired],
    ...[pending === undefined ? null : JSON.stringify(pending), JSON.stringify(spec), removedAt ?? null, now],
    ...more
  )
}

/** The active machine of this owner and id. */
export async function ownMachine(db: Queries, owner: string, id: string): Promise<Machine | undefined> {
  const sql = `SELECT ${MACHINE} FROM machines WHERE owner = $1 AND id = $2 AND active = 1`
  const [row] = await db.query(sql, owner, id)
  return row && machineOf(row)
}

export async function machinesByUuid(db: Queries, ...uuids: Uuid[]): Promise<Machine[]> {
  const sql = `SELECT ${MACHINE} FROM machines WHERE uuid IN (${list(uuids)})`
  return (await db.query(sql, ...uuids)).map(machineOf)
}

export async function machineByUuid(db: Queries, uuid: Uuid): Promise<Machine | undefined> {
  return (await machinesByUuid(db, uuid))[0]
}

/** Machines of others of this id that were opened to the peer. */
export async function sharedMachines(
  db: Queries,
  peer: string,
  id: string
): Promise<{ machine: Machine; role: Role }[]> {
  const rows = await db.query(
    `SELECT ${MACHINE}, role FROM machines JOIN grants ON grants.machine = machines.uuid
     WHERE peer = $1 AND id = $2 AND active = 1 ORDER BY owner`,
    ...[peer, id]
  )
  return rows.map(row => ({ machine: machineOf(row), role: row.role as Role }))
}

/** What the peer may see, by id: its own, and what was opened to it. */
export async function visibleMachines(
  db: Queries,
  peer: string,
  { isEver = false, isAuthenticated = false } = {}
): Promise<Machine[]> {
  const rows = await db.query(
    `SELECT ${MACHINE} FROM machines
     WHERE (owner = $1 OR uuid IN (SELECT machine FROM grants WHERE peer = $1))
       AND (active = 1 OR $2 = 1) AND (authenticated = 1 OR $3 = 0) ORDER BY id, created_at`,
    ...[peer, isEver ? 1 : 0, isAuthenticated ? 1 : 0]
  )
  return rows.map(machineOf)
}

/** All but those that are purged: they have a folder. */
export async function machinesWithFolder(db: Queries): Promise<Uuid[]> {
  return (await db.query<{ uuid: string }>('SELECT uuid FROM machines WHERE purged = 0')).map(
    ({ uuid }) => uuid
  )
}

export async function activeMachines(db: Queries): Promise<Machine[]> {
  return (await db.query(`SELECT ${MACHINE} FROM machines WHERE active = 1`)).map(machineOf)
}

/** Active ones of which a disk was found damaged at some time. */
export async function everCorrupt(db: Queries): Promise<Machine[]> {
  const sql = `SELECT ${MACHINE} FROM machines
    WHERE active = 1 AND uuid IN (SELECT machine FROM events WHERE kind = 'corrupt')`
  return (await db.query(sql)).map(machineOf)
}

export async function updateMachine(
  db: Queries,
  uuid: Uuid,
  change: Partial<Pick<Machine, 'ramMb' | 'cpu' | 'authenticated' | 'desired' | 'pending' | 'spec'>>
): Promise<void> {
  const columns: Record<string, string | number | null | undefined> = {
    ram_mb: change.ramMb,
    cpu: change.cpu,
    authenticated: change.authenticated === undefined ? undefined : Number(change.authenticated),
    desired: change.desired,
    pending: 'pending' in change ? (change.pending ? JSON.stringify(change.pending) : null) : undefined,
    spec: change.spec && JSON.stringify(change.spec)
  }
  const set = Object.entries(columns).filter(([, value]) => value !== undefined) as [
    string,
    string | number | null
  ][]
  await db.query(
    `UPDATE machines SET ${set.map(([column], i) => `${column} = $${i + 2}`).join(', ')} WHERE uuid = $1`,
    ...[uuid, ...set.map(([, value]) => value)]
  )
}

/** The machine of this owner and id where it has these figures: it is authenticated. */
export async function authenticate(
  db: Queries,
  owner: string,
  id: string,
  { ramMb, cpu }: Pick<Machine, 'ramMb' | 'cpu'>
): Promise<Uuid | undefined> {
  const sql = `UPDATE machines SET authenticated = 1
    WHERE owner = $1 AND id = $2 AND active = 1 AND ram_mb = $3 AND cpu = $4 RETURNING uuid`
  return (await db.query<{ uuid: string }>(sql, owner, id, ramMb, cpu))[0]?.uuid
}

/** The machine of this owner and id: it is authenticated no longer. */
export async function logOut(db: Queries, owner: string, id: string): Promise<Uuid | undefined> {
  const sql =
    'UPDATE machines SET authenticated = 0 WHERE owner = $1 AND id = $2 AND active = 1 RETURNING uuid'
  return (await db.query<{ uuid: string }>(sql, owner, id))[0]?.uuid
}

/** Into the trash; everything that belongs to it goes along. */
export async function retireMachine(db: Queries, uuid: Uuid, now: number): Promise<void> {
  await db.query(
    `UPDATE machines SET active = 0, authenticated = 0, desired = 'removed', removed_at = $2 WHERE uuid = $1`,
    ...[uuid, now]
  )
  await db.query(`UPDATE disks SET active = 0, removed_at = $2 WHERE machine = $1 AND active = 1`, uuid, now)
}

/** Out of the trash. The id of a disk whose name its owner has taken again meanwhile: then nothing is changed. */
export async function reviveMachine(db: Queries, uuid: Uuid): Promise<string | undefined> {
  // disks that were removed before the machine stay where they are
  const along = `machine = $1 AND removed_at = (SELECT removed_at FROM machines WHERE uuid = $1)`
  const [taken] = await db.query<{ id: string }>(
    `SELECT id FROM disks AS gone WHERE ${along} AND EXISTS (
       SELECT 1 FROM disks WHERE disks.owner = gone.owner AND disks.id = gone.id AND disks.active = 1)`,
    uuid
  )
  if (taken !== undefined) return taken.id
  await db.query(`UPDATE disks SET active = 1, removed_at = NULL WHERE ${along}`, uuid)
  await db.query(
    `UPDATE machines SET active = 1, desired = 'stopped', removed_at = NULL WHERE uuid = $1`,
    uuid
  )
  return undefined
}

/** With its files: neither emptied nor on its way to another host. */
const IN_TRASH = `active = 0 AND purged = 0 AND uuid NOT IN (SELECT machine FROM moves WHERE phase = 'released')`

/** The last removed machine of this owner and id that is still in the trash. */
export async function removedMachine(db: Queries, owner: string, id: string): Promise<Machine | undefined> {
  const [row] = await db.query(
    `SELECT ${MACHINE} FROM machines WHERE owner = $1 AND id = $2 AND ${IN_TRASH}
     ORDER BY removed_at DESC LIMIT 1`,
    ...[owner, id]
  )
  return row && machineOf(row)
}

export async function insertDisk(db: Queries, disk: Disk, now: number, removedAt?: number): Promise<boolean> {
  const { uuid, owner, id, machine, sizeGb, active, top } = disk
  const rows = await db.query(
    `INSERT INTO disks (${DISK}, created_at, removed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT DO NOTHING RETURNING uuid`,
    ...[uuid, owner, id, machine, sizeGb, Number(active), top, now, removedAt ?? null]
  )
  return rows.length === 1
}

export async function ownDisk(db: Queries, owner: string, id: string): Promise<Disk | undefined> {
  const [row] = await db.query(
    `SELECT ${DISK} FROM disks WHERE owner = $1 AND id = $2 AND active = 1`,
    owner,
    id
  )
  return row && diskOf(row)
}

/** Of a removed machine those that went with it. */
export async function disksOf(db: Queries, ...machines: Uuid[]): Promise<Disk[]> {
  const sql = `SELECT ${DISK} FROM disks WHERE machine IN (${list(machines)}) AND
    (active = 1 OR removed_at = (SELECT removed_at FROM machines WHERE uuid = disks.machine)) ORDER BY created_at, id`
  return (await db.query(sql, ...machines)).map(diskOf)
}

/** Active disks of every machine that the peer may see, with the id of the machine. */
export async function visibleDisks(db: Queries, peer: string): Promise<(Disk & { machineId: string })[]> {
  const rows = await db.query(
    `SELECT disks.uuid, disks.owner, disks.id, disks.machine, disks.size_gb, disks.active, disks.top, machines.id AS vm
     FROM disks JOIN machines ON machines.uuid = disks.machine
     WHERE disks.active = 1 AND (disks.owner = $1 OR disks.machine IN (SELECT machine FROM grants WHERE peer = $1))
     ORDER BY disks.id`,
    peer
  )
  return rows.map(row => ({ ...diskOf(row), machineId: row.vm as string }))
}

/** What is written to has no content that could be known. */
export async function setTop(db: Queries, disk: Uuid, top: Uuid): Promise<void> {
  await db.query('UPDATE disks SET top = $2 WHERE uuid = $1', disk, top)
  await db.query('UPDATE layers SET cid = NULL WHERE uuid = $1', top)
}

export async function insertLayer(
  db: Queries,
  uuid: Uuid,
  parent: Uuid | undefined,
  owner: string
): Promise<void> {
  await db.query(
    'INSERT INTO layers (uuid, parent, owner) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    ...[uuid, parent ?? null, owner]
  )
}

/** From the bottom to this layer. @throws StorageError where there is no end to it */
export async function chainOf(db: Queries, top: Uuid): Promise<Uuid[]> {
  const rows = await db.query<{ uuid: string }>(
    `WITH RECURSIVE chain(uuid, parent, depth) AS (
       SELECT uuid, parent, 0 FROM layers WHERE uuid = $1
       UNION ALL SELECT layers.uuid, layers.parent, depth + 1 FROM layers JOIN chain ON layers.uuid = chain.parent
       WHERE depth < $2)
     SELECT uuid FROM chain ORDER BY depth DESC`,
    ...[top, MOST_LAYERS]
  )
  if (rows.length > MOST_LAYERS)
    throw new StorageError(`layer ${top} stands on more than ${MOST_LAYERS} others`)
  return rows.map(row => row.uuid)
}

export async function cidOf(db: Queries, layer: Uuid): Promise<string | undefined> {
  const [row] = await db.query<{ cid: string | null }>('SELECT cid FROM layers WHERE uuid = $1', layer)
  return row?.cid ?? undefined
}

export async function setCid(db: Queries, layer: Uuid, cid: string): Promise<void> {
  await db.query('UPDATE layers SET cid = $2 WHERE uuid = $1', layer, cid)
}

export async function isLayer(db: Queries, layer: Uuid): Promise<boolean> {
  return (await db.query('SELECT uuid FROM layers WHERE uuid = $1', layer)).length > 0
}

/** Does a disk, a snapshot, a machine’s start or another layer need it? */
export async function isLayerHeld(db: Queries, layer: Uuid): Promise<boolean> {
  // a UUID stands in a text of JSON nowhere but as itself
  const rows = await db.query(
    `SELECT 1 AS held FROM disks WHERE top = $1 UNION ALL SELECT 1 FROM layers WHERE parent = $1
     UNION ALL SELECT 1 FROM snapshots WHERE disks LIKE $2 OR memory LIKE $2 UNION ALL SELECT 1 FROM machines WHERE spec LIKE $2 LIMIT 1`,
    ...[layer, `%"${layer}"%`]
  )
  return rows.length > 0
}

export async function insertSnapshot(db: Queries, snapshot: Snapshot): Promise<boolean> {
  const { uuid, machine, name, at, isScheduled, disks, memory } = snapshot
  const rows = await db.query(
    `INSERT INTO snapshots (uuid, machine, name, at, scheduled, disks, memory) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT DO NOTHING RETURNING uuid`,
    ...[uuid, machine, name, at, isScheduled ? 1 : 0, JSON.stringify(disks)],
    memory === undefined ? null : JSON.stringify(memory)
  )
  return rows.length === 1
}

export async function snapshotsOf(db: Queries, ...machines: Uuid[]): Promise<Snapshot[]> {
  const sql = `SELECT * FROM snapshots WHERE machine IN (${list(machines)}) ORDER BY at`
  return (await db.query(sql, ...machines)).map(snapshotOf)
}

export async function deleteSnapshot(db: Queries, uuid: Uuid): Promise<void> {
  await db.query('DELETE FROM snapshots WHERE uuid = $1', uuid)
}

export async function setSchedule(db: Queries, machine: Uuid, schedule: Schedule | undefined): Promise<void> {
  await db.query('DELETE FROM schedules WHERE machine = $1', machine)
  if (schedule === undefined) return
  const { pattern, keep, since } = schedule
  await db.query(
    'INSERT INTO schedules (machine, pattern, keep, since) VALUES ($1, $2, $3, $4)',
    ...[machine, pattern, keep, since]
  )
}

export async function schedulesOf(
  db: Queries,
  ...machines: Uuid[]
): Promise<(Schedule & { machine: Uuid })[]> {
  const sql = `SELECT machine, pattern, keep, since FROM schedules WHERE machine IN (${list(machines)})`
  return (await db.query(sql, ...machines)) as never
}

/** Of all machines that are active. */
export async function schedules(db: Queries): Promise<(Schedule & { machine: Uuid })[]> {
  const sql = `SELECT machine, pattern, keep, since FROM schedules
    WHERE machine IN (SELECT uuid FROM machines WHERE active = 1)`
  return (await db.query(sql)) as never
}

/** What an owner has registered; figures that wait for a start count where they are larger. */
export async function totalsOf(db: Queries, owner: string): Promise<Totals> {
  const [[row], waiting] = await Promise.all([
    db.query<{ machines: number; ram: number; cpu: number; gb: number }>(
      `SELECT count(*) AS machines, CAST(coalesce(sum(ram_mb), 0) AS BIGINT) AS ram,
         CAST(coalesce(sum(cpu), 0) AS BIGINT) AS cpu,
         (SELECT CAST(coalesce(sum(size_gb), 0) AS BIGINT) FROM disks WHERE owner = $1 AND active = 1) AS gb
       FROM machines WHERE owner = $1 AND active = 1`,
      owner
    ),
    db.query(`SELECT ${MACHINE} FROM machines WHERE owner = $1 AND active = 1 AND pending IS NOT NULL`, owner)
  ])
  const totals = { machines: row!.machines, ramMb: row!.ram, cpu: row!.cpu, diskGb: row!.gb }
  for (const { ramMb, cpu, pending } of waiting.map(machineOf)) {
    totals.ramMb += Math.max(0, pending!.ramMb - ramMb)
    totals.cpu += Math.max(0, pending!.cpu - cpu)
  }
  return totals
}

export async function setGrant(
  db: Queries,
  machine: Uuid,
  peer: string,
  role: Role | undefined
): Promise<void> {
  await db.query('DELETE FROM grants WHERE machine = $1 AND peer = $2', machine, peer)
  if (role !== undefined)
    await db.query('INSERT INTO grants (machine, peer, role) VALUES ($1, $2, $3)', machine, peer, role)
}

export async function grantsOf(
  db: Queries,
  ...machines: Uuid[]
): Promise<{ machine: Uuid; peer: string; role: 'operator' | 'viewer' }[]> {
  const sql = `SELECT machine, peer, role FROM grants WHERE machine IN (${list(machines)}) ORDER BY peer`
  return (await db.query(sql, ...machines)) as never
}

/** Machines and single disks that went into the trash before this time. */
export async function trashedBefore(db: Queries, at: number): Promise<{ machines: Uuid[]; disks: Disk[] }> {
  const machines = await db.query<{ uuid: string }>(
    `SELECT uuid FROM machines WHERE ${IN_TRASH} AND removed_at < $1`,
    at
  )
  const disks = await db.query(
    `SELECT ${DISK} FROM disks WHERE active = 0 AND removed_at < $1
     AND machine IN (SELECT uuid FROM machines WHERE active = 1)`,
    at
  )
  return { machines: machines.map(({ uuid }) => uuid), disks: disks.map(diskOf) }
}

/** Everything of a machine but its events; with its row no word of it is left. */
export async function deleteMachine(db: Queries, uuid: Uuid, keepsRow: boolean): Promise<void> {
  for (const table of ['disks', 'snapshots', 'schedules', 'grants'])
    await db.query(`DELETE FROM ${table} WHERE machine = $1`, uuid)
  if (keepsRow)
    await db.query(`UPDATE machines SET purged = 1, spec = '{"boot":{"kind":"disk"}}' WHERE uuid = $1`, uuid)
  else await db.query('DELETE FROM machines WHERE uuid = $1', uuid)
}

/** Tops of all disks that a machine ever had and still has on disk. */
export async function topsEver(db: Queries, machine: Uuid): Promise<Uuid[]> {
  return (await db.query<{ top: string }>('SELECT top FROM disks WHERE machine = $1', machine)).map(
    ({ top }) => top
  )
}

/** Of these machines those that were given to another host, and to which. */
export async function releasedOf(
  db: Queries,
  ...machines: Uuid[]
): Promise<{ machine: Uuid; peer: string }[]> {
  const sql = `SELECT machine, peer FROM moves WHERE phase = 'released' AND machine IN (${list(machines)})`
  return (await db.query(sql, ...machines)) as never
}

export interface Hold {
  kind: string
  caller: string
  epoch: string
  startedAt: number
}

/** Takes the machine for one operation. Who holds it, where it is not free. */
export async function holdMachine(db: Queries, machine: Uuid, hold: Hold): Promise<Hold | undefined> {
  const { kind, caller, epoch, startedAt } = hold
  for (;;) {
    const won = await db.query(
      `INSERT INTO operations (machine, kind, caller, epoch, started_at, detail) VALUES ($1, $2, $3, $4, $5, '')
       ON CONFLICT DO NOTHING RETURNING machine`,
      ...[machine, kind, caller, epoch, startedAt]
    )
    if (won.length === 1) return undefined
    const [row] = await db.query(
      'SELECT kind, caller, epoch, started_at FROM operations WHERE machine = $1',
      machine
    )
    // it may have been released between the two statements
    if (row !== undefined)
      return {
        kind: row.kind as string,
        caller: row.caller as string,
        epoch: row.epoch as string,
        startedAt: row.started_at as number
      }
  }
}

export async function releaseMachine(db: Queries, machine: Uuid, epoch: string): Promise<void> {
  await db.query('DELETE FROM operations WHERE machine = $1 AND epoch = $2', machine, epoch)
}

/** What an earlier run of this node held and never released. */
export async function staleHolds(db: Queries, epoch: string): Promise<{ machine: Uuid; kind: string }[]> {
  const sql = 'SELECT machine, kind FROM operations WHERE epoch <> $1'
  const rows = await db.query<{ machine: string; kind: string }>(sql, epoch)
  await db.query('DELETE FROM operations WHERE epoch <> $1', epoch)
  return rows
}
