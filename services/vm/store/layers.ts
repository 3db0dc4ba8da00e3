import type { Uuid } from '../contract.ts'
import type { Queries } from './database.ts'

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
/** Texts in which layers stand that something needs. */
const IN_MACHINES = `SELECT top AS text FROM disks UNION ALL SELECT disks FROM snapshots
  UNION ALL SELECT memory FROM snapshots WHERE memory IS NOT NULL UNION ALL SELECT spec FROM machines`
const IN_MOVES = 'SELECT description AS text FROM moves UNION ALL SELECT files FROM moves'

async function namedIn(db: Queries, sql: string): Promise<Set<Uuid>> {
  const rows = await db.query<{ text: string }>(sql)
  return new Set(rows.flatMap(({ text }) => text.match(UUID) ?? []))
}

/**
 * Layers of an owner that are never written again: those that something stands on or starts from, without tops, and
 * without what is beneath the top of a machine that somebody holds, whose QEMU may not have let go of it yet.
 */
export async function frozenLayers(db: Queries, owner: string): Promise<Uuid[]> {
  const rows = await db.query<{ uuid: string; parented: number }>(
    `SELECT uuid, CASE WHEN uuid IN (SELECT parent FROM layers) THEN 1 ELSE 0 END AS parented FROM layers
     WHERE owner = $1 AND uuid NOT IN (SELECT top FROM disks)
       AND uuid NOT IN (SELECT parent FROM layers JOIN disks ON disks.top = layers.uuid
         WHERE parent IS NOT NULL AND disks.machine IN (SELECT machine FROM operations))`,
    owner
  )
  const named = await namedIn(db, IN_MACHINES)
  return rows.filter(({ uuid, parented }) => parented === 1 || named.has(uuid)).map(({ uuid }) => uuid)
}

/**
 * Layers that nothing needs, those on top first: what was begun and cut off by a crash. A layer is registered before
 * its file is there, so there is no file that is not known.
 */
export async function leftLayers(db: Queries): Promise<Uuid[]> {
  const rows = await db.query<{ uuid: string; parent: string | null }>('SELECT uuid, parent FROM layers')
  const parents = new Map(rows.map(({ uuid, parent }) => [uuid, parent]))
  const held = new Set<Uuid>()
  for (const head of [...(await namedIn(db, IN_MACHINES)), ...(await namedIn(db, IN_MOVES))])
    for (let at: Uuid | null | undefined = head; at != null && !held.has(at); at = parents.get(at))
      held.add(at)
  return rows.map(({ uuid }) => uuid).filter(uuid => !held.has(uuid))
}
