import { CsvError, parse } from 'csv-parse/sync'
import { RequestError } from '../errors.ts'
import { checkName, nameKey } from './names.ts'

const MAX_LINES = 5_000
const HEADERS: Record<string, 'name' | 'role'> = {
  name: 'name',
  имя: 'name',
  логин: 'name',
  login: 'name',
  role: 'role',
  роль: 'role'
}

export type ImportAction = 'create' | 'change' | 'same' | 'wrong'

/** What a line of the list does, or what is wrong with it. */
export interface ImportLine {
  /** of the file, from 1 */
  line: number
  name: string
  role: string
  action: ImportAction
  mistake?: string
}

/**
 * Reads a list of people: a heading with `name` and, if wanted, `role`, between commas or semicolons, quoted where
 * need be (RFC 4180). Pure.
 *
 * `roleOf`: the role that a name has now, undefined for a new one.
 * @throws {RequestError} it is no list of names at all
 */
export function planImport(
  text: string,
  init: { roles: readonly string[]; defaultRole: string; roleOf(key: string): string | undefined }
): ImportLine[] {
  const [heading, ...records] = readRecords(text)
  if (heading == null)
    throw new RequestError('the list is empty; its first line names the columns: name,role')
  const columns = heading.record.map(title => HEADERS[title.trim().toLowerCase()])
  const [nameAt, roleAt] = [columns.indexOf('name'), columns.indexOf('role')]
  if (nameAt < 0)
    throw new RequestError(
      `the first line names the columns and one of them is name; got ${JSON.stringify(heading.record.join(',').slice(0, 100))}`
    )
  if (records.length > MAX_LINES)
    throw new RequestError(`a list has at most ${MAX_LINES} lines, this one has ${records.length}; divide it`)
  const seen = new Map<string, number>()
  return records.map(({ record, line }) => {
    const role = (roleAt < 0 ? '' : (record[roleAt] ?? '').trim()) || init.defaultRole
    const row = { line, name: record[nameAt] ?? '', role }
    try {
      if (record.length > heading.record.length)
        throw new RequestError(`${record.length} columns, the first line has ${heading.record.length}`)
      const name = checkName(row.name)
      if (!init.roles.includes(role))
        throw new RequestError(
          `there is no role ${JSON.stringify(role.slice(0, 50))}; there are ${init.roles.join(', ')}`
        )
      const before = seen.get(nameKey(name))
      if (before != null) throw new RequestError(`the name stands in line ${before} already`)
      seen.set(nameKey(name), line)
      const now = init.roleOf(nameKey(name))
      return { ...row, name, action: now == null ? 'create' : now === role ? 'same' : 'change' }
    } catch (err) {
      if (!(err instanceof RequestError)) throw err
      return {
        ...row,
        name: row.name.slice(0, 80),
        role: role.slice(0, 50),
        action: 'wrong',
        mistake: err.message
      }
    }
  })
}

interface Read {
  record: string[]
  line: number
}

function readRecords(text: string): Read[] {
  try {
    const read = parse(text, {
      bom: true,
      delimiter: [',', ';'],
      info: true,
      relaxColumnCount: true,
      skipEmptyLines: true,
      trim: true,
      maxRecordSize: 1_000
    }) as unknown as { record: string[]; info: { lines: number } }[]
    return read.map(({ record, info }) => ({ record, line: info.lines }))
  } catch (err) {
    if (!(err instanceof CsvError)) throw err
    throw new RequestError(`this is not a list with commas or semicolons: ${err.message}`)
  }
}
