import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { ListFileError } from '../errors.ts'
import type { Device, Devices } from '../machine/devices.ts'
import { lineOf } from './locate.ts'
import { parsed, textOf } from './read.ts'

const FILE = 'tmp_db_data.json'
const MAX_BYTES = 16 * 1024 * 1024
/** Written together: the log takes them in their order. */
const TOGETHER = 256

const INSERT = /^\s*insert\s+into\s+(\w+)\s*\(([\w\s,]*)\)\s*values\s*\((.*)\)\s*;?\s*$/is
const VALUE = /\s*(?:'((?:[^'\\]|\\.|'')*)'|(-?\d{1,15}(?:\.\d{1,6})?)|(null|none))\s*(,|$)/iy
const text = z.string().max(200)
const short = z.union([text, z.number()]).transform(String)
const mac = z.string().regex(/^[\w:.-]{1,64}$/)

/** Tables that rows may be of; what is in them is told as an event of that kind. */
const ROWS = {
  gaming_transactions: {
    kind: 'transaction',
    row: z
      .object({
        time_: text,
        mac,
        property_code: short,
        value: z.number(),
        game_number: short,
        it_id: z.int()
      })
      .transform(({ time_, mac, property_code, value, game_number, it_id }) => ({
        mac,
        body: { time: time_, code: property_code, value, game: game_number, block: it_id }
      }))
  },
  gamemachines: {
    kind: 'machine',
    row: z
      .object({ mac, PC_name: text, serial_number: text })
      .transform(({ mac, PC_name, serial_number }) => ({
        mac,
        body: { computer: PC_name, serial: serial_number }
      }))
  }
} as const

export interface ImportedRow {
  kind: 'transaction' | 'machine'
  /** of the computer that stood beside the machine */
  mac: string
  body: Record<string, string | number>
}

/** What one statement puts into a table; it is read, never executed. Undefined: it is none of those. Pure. */
export function rowOf(statement: string): ImportedRow | undefined {
  const [, table = '', columns = '', list = ''] = INSERT.exec(statement) ?? []
  const known = ROWS[table.toLowerCase() as keyof typeof ROWS]
  if (known == null) return undefined
  const values: (string | number | null)[] = []
  VALUE.lastIndex = 0
  for (let isLast = false; !isLast; ) {
    const [, quoted, number, , end] = VALUE.exec(list) ?? []
    if (end == null) return undefined
    if (quoted != null) values.push(quoted.replaceAll("''", "'").replaceAll(/\\(.)/gs, '$1'))
    else values.push(number == null ? null : Number(number))
    isLast = end === ''
  }
  const names = columns.split(',').map(name => name.trim())
  if (names.length !== values.length) return undefined
  const read = known.row.safeParse(Object.fromEntries(names.map((name, i) => [name, values[i]])))
  return read.success ? { kind: known.kind, ...read.data } : undefined
}

export interface ImportInit {
  folder: string
  db: DatabaseSync
  devices: Devices
  now(): number
}

/**
 * Takes over the rows that wait in a file for a database, once: what the log has of them says how far it is, through any
 * crash. A file with other rows is another file.
 *
 * @throws {ListFileError} one of its rows is none; nothing of it is taken then
 */
export async function importRows({ folder, db, devices, now }: ImportInit): Promise<void> {
  const path = join(folder, FILE)
  const content = await textOf(path, MAX_BYTES)
  if (content == null) return
  const file = createHash('sha256').update(content).digest('hex')
  if (db.prepare('SELECT 1 FROM imported WHERE file = ?').get(file) != null) return
  const rows = parsed(path, content, z.array(z.string().max(10_000))).map((statement, i) => {
    const row = rowOf(statement)
    if (row == null)
      throw new ListFileError(
        `${path}, line ${lineOf(content, [i])}: [${i}]: is no row of ${Object.keys(ROWS).join(', ')}`
      )
    return { ...row, place: i + 1 }
  })
  const places = new Map<string, { device: Device; done: Map<string, number> }>()
  try {
    for (const { mac, kind } of rows) {
      const known = places.get(mac) ?? { device: await openBefore(devices, mac), done: new Map() }
      places.set(mac, known)
      if (known.done.has(kind)) continue
      const last = await known.device.latest(kind)
      known.done.set(kind, last?.file === file ? Number(last.row) : 0)
    }
    const left = rows.filter(({ mac, kind, place }) => place > places.get(mac)!.done.get(kind)!)
    for (let at = 0; at < left.length; at += TOGETHER)
      await Promise.all(
        left
          .slice(at, at + TOGETHER)
          .map(({ mac, kind, body, place }) =>
            places.get(mac)!.device.event(kind, { ...body, file, row: place })
          )
      )
    db.prepare('INSERT INTO imported (file, at) VALUES (?, ?)').run(file, now())
  } finally {
    for (const { device } of places.values()) device.close()
  }
}

/** What was kept of the machine beside a computer before this node was. */
const openBefore = (devices: Devices, serial: string): Promise<Device> =>
  devices.open({
    kind: 'sas-before',
    serial,
    name: `rows of before, ${serial}`,
    readings: {},
    events: { transaction: { class: 'account' }, machine: { class: 'account' } }
  })
