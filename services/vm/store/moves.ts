import type { Uuid } from '../contract.ts'
import type { Description } from '../machines/description.ts'
import type { Queries, Row } from './database.ts'

/** A machine on its way: of the host that gives it away and of the one that takes it, each keeps a row. */
export interface Move {
  id: Uuid
  machine: Uuid
  direction: 'out' | 'in'
  /** the other host */
  peer: string
  /**
   * out: `copying`, then `released`: never to run here again unless the other host says that it does not have it.
   * in: `copying`, then `received`, for good.
   */
  phase: 'copying' | 'released' | 'received'
  description: Description
  /** in: the file here of each layer there that has come whole, and its content */
  files: Record<Uuid, { uuid: Uuid; cid: string }>
  /** of the last thing that came */
  at: number
}

function moveOf(row: Row): Move {
  return {
    ...(row as unknown as Move),
    description: JSON.parse(row.description as string),
    files: JSON.parse(row.files as string)
  }
}

export async function insertMove(db: Queries, move: Move): Promise<void> {
  const { id, machine, direction, peer, phase, description, files, at } = move
  await db.query(
    'INSERT INTO moves (id, machine, direction, peer, phase, description, files, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
    ...[id, machine, direction, peer, phase, JSON.stringify(description), JSON.stringify(files), at]
  )
}

export async function updateMove(db: Queries, { id, phase, description, files, at }: Move): Promise<void> {
  await db.query(
    'UPDATE moves SET phase = $2, description = $3, files = $4, at = $5 WHERE id = $1',
    ...[id, phase, JSON.stringify(description), JSON.stringify(files), at]
  )
}

/** False where it is in another phase, or gone: then nothing is deleted. */
export async function deleteMove(db: Queries, id: Uuid, phase: Move['phase']): Promise<boolean> {
  const sql = 'DELETE FROM moves WHERE id = $1 AND phase = $2 RETURNING id'
  return (await db.query(sql, id, phase)).length === 1
}

export async function moveById(db: Queries, id: Uuid): Promise<Move | undefined> {
  const [row] = await db.query('SELECT * FROM moves WHERE id = $1', id)
  return row && moveOf(row)
}

export async function movesOf(
  db: Queries,
  direction: Move['direction'],
  phase: Move['phase']
): Promise<Move[]> {
  const sql = 'SELECT * FROM moves WHERE direction = $1 AND phase = $2 ORDER BY at'
  return (await db.query(sql, direction, phase)).map(moveOf)
}
