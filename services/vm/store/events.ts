import type { Uuid } from '../contract.ts'
import type { Queries } from './database.ts'

export interface VmEvent {
  seq: number
  machine: Uuid
  at: number
  kind: string
  detail: string
}

export async function insertEvent(db: Queries, { seq, machine, at, kind, detail }: VmEvent): Promise<void> {
  await db.query(
    'INSERT INTO events (seq, machine, at, kind, detail) VALUES ($1, $2, $3, $4, $5)',
    ...[seq, machine, at, kind, detail]
  )
}

export async function eventsOf(db: Queries, machine: Uuid, after: number, limit: number): Promise<VmEvent[]> {
  return (await db.query(
    'SELECT seq, machine, at, kind, detail FROM events WHERE machine = $1 AND seq > $2 ORDER BY seq LIMIT $3',
    ...[machine, after, limit]
  )) as unknown as VmEvent[]
}
