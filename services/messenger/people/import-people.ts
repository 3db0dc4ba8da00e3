import { CsvError, parse } from 'csv-parse/sync'
import { RequestError } from '../../host/index.ts'
import { type Role, roles, title, type User, userId } from '../core/statement.ts'

export const MAX_LINES = 5_000
const COLUMNS: Record<string, 'id' | 'name' | 'role' | 'classes'> = {
  login: 'id',
  id: 'id',
  логин: 'id',
  name: 'name',
  имя: 'name',
  фио: 'name',
  role: 'role',
  роль: 'role',
  class: 'classes',
  classes: 'classes',
  класс: 'classes',
  классы: 'classes'
}
const ROLES: Record<string, Role> = {
  admin: 'admin',
  администратор: 'admin',
  teacher: 'teacher',
  учитель: 'teacher',
  pupil: 'pupil',
  ученик: 'pupil'
}

/** What a line of the list does, or what is wrong with it. */
export interface ImportLine {
  /** of the file, from 1 */
  line: number
  id: string
  name: string
  role: string
  classes: string[]
  action: 'create' | 'change' | 'same' | 'wrong'
  mistake?: string
}

/** UTF-8, or windows-1251 where it is not. */
export function decodeList(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // no UTF-8: what spreadsheets of Russian schools write
    return new TextDecoder('windows-1251').decode(bytes)
  }
}

/**
 * Reads a list of people: a heading with `name` and, if wanted, `login`, `role`, `class`, in English or Russian, between
 * commas or semicolons. Several classes are divided by `|`. The same list twice changes nothing. Pure.
 *
 * @throws {RequestError} it is no list of people at all
 */
export function planImport(text: string, known: (id: string) => User | undefined): ImportLine[] {
  const [heading, ...records] = read(text)
  if (heading == null)
    throw new RequestError('the list is empty; its first line names the columns: name;role;class')
  const columns = heading.record.map(name => COLUMNS[name.trim().toLowerCase()])
  if (!columns.includes('name'))
    throw new RequestError(
      `the first line names the columns and one of them is name; got ${JSON.stringify(heading.record.join(';').slice(0, 100))}`
    )
  if (records.length > MAX_LINES)
    throw new RequestError(`a list has at most ${MAX_LINES} lines, this one has ${records.length}; divide it`)
  const seen = new Map<string, number>()
  return records.map(({ record, line }) => {
    const field = (column: string): string => record[columns.indexOf(column as never)]?.trim() ?? ''
    const name = field('name')
    const id = field('id') || idFrom(name)
    const role = field('role').toLowerCase()
    const classes = field('classes')
      .split('|')
      .map(each => each.trim())
      .filter(each => each !== '')
    const row = { line, id, name, role: ROLES[role] ?? (role === '' ? 'pupil' : role), classes }
    const mistake =
      record.length > heading.record.length
        ? `${record.length} columns, the first line has ${heading.record.length}`
        : seen.has(id)
          ? `the same as line ${seen.get(id)}`
          : mistakeIn(row)
    if (mistake != null) return { ...row, action: 'wrong', mistake }
    seen.set(id, line)
    const before = known(id)
    if (before == null) return { ...row, action: 'create' }
    const isSame =
      before.name === name && before.role === row.role && before.classes.join('|') === classes.join('|')
    return { ...row, action: isSame ? 'same' : 'change' }
  })
}

function mistakeIn({ id, name, role, classes }: Omit<ImportLine, 'action' | 'line'>): string | undefined {
  if (!title.safeParse(name).success) return 'a name has 1 to 100 letters'
  if (!userId.safeParse(id).success)
    return `${JSON.stringify(id.slice(0, 70))} is no login: letters, digits, . _ -`
  if (!roles.safeParse(role).success)
    return `there is no role ${JSON.stringify(role.slice(0, 50))}; there are ${roles.options.join(', ')}`
  if (classes.length > 20 || !classes.every(each => title.safeParse(each).success))
    return 'at most 20 classes, each of 1 to 100 letters'
  return undefined
}

/** A login for who has none: the name in small letters, with dots. */
export const idFrom = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '.')
    .replaceAll(/^\.+|\.+$/g, '')
    .slice(0, 64)

function read(text: string): { record: string[]; line: number }[] {
  try {
    const [first = ''] = text.split('\n', 1)
    const rows = parse(text, {
      bom: true,
      delimiter: first.includes(';') ? ';' : ',',
      relax_column_count: true,
      skip_empty_lines: true,
      info: true
    }) as unknown as { record: string[]; info: { lines: number } }[]
    return rows.map(({ record, info }) => ({ record, line: info.lines }))
  } catch (error) {
    if (error instanceof CsvError) throw new RequestError(`the list cannot be read: ${error.message}`)
    throw error
  }
}
