import { accessSync, constants, type Stats, statfsSync } from 'node:fs'
import { access, lstat, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { loadNetwork, loadOrCreateIdentity } from '../bootstrap/index.ts'
import { DATA_PARTS, type DataKind, type DataPart } from './data-folder.ts'
import { DataFolderError } from './errors.ts'
import { parseJson } from './json-text.ts'

/** A start reads databases up to this size as a whole (0.1 s); larger ones are read by the doctor. */
const MAX_START_BYTES = 32 * 1024 * 1024
const LEVEL_BLOCK = 32 * 1024
/** Last bytes of a table of LevelDB (github.com/google/leveldb/blob/main/doc/table_format.md). */
const LEVEL_MAGIC = '57fb808b247547db'
const TOKEN = /^artel_admin_[\w-]{43}\s*$/
const FOLDERS: DataKind[] = ['level', 'files']
/** What only a node makes; an owner may put the other kinds into a folder before its first start. */
const EVIDENCE: DataKind[] = ['sqlite', 'level', 'files']
/** Refusals of the system, not faults of the file. */
const RIGHTS = ['EACCES', 'EPERM', 'EROFS']

/** What is wrong with a part of the data folder. */
export interface Finding {
  part: DataPart
  /** `damaged`: not what it should be; `missing`: a folder that was used has it; `rights`: the system refuses it */
  problem: 'damaged' | 'missing' | 'rights'
  reason: string
}

type Depth = 'start' | 'thorough'
/** Gives what is wrong, or throws as node:fs does. */
type Examine = (file: string, stats: Stats, depth: Depth) => Promise<string | undefined> | string | undefined

const EXAMINE: Partial<Record<DataKind, Examine>> = {
  lock: (file, stats) => (stats.size > 0 ? examineSqlite(file, stats, 'start') : undefined),
  key: examineKey,
  network: async file => void (await loadNetwork(file)),
  json: async file => void parseJson(await readFile(file, 'utf8')),
  token: async file => (TOKEN.test(await readFile(file, 'utf8')) ? undefined : 'it holds no token'),
  sqlite: examineSqlite,
  level: examineLevel
}

/**
 * Looks at every part of a data folder and changes nothing. Not for a folder in which this process has opened its
 * databases: POSIX releases a lock as soon as anybody in the process closes the file.
 */
export async function examineData(folder: string, depth: Depth): Promise<Finding[]> {
  const findings: Finding[] = []
  let isUsed = false
  // from the last to the first: who has a later part had the earlier ones
  for (const part of DATA_PARTS.toReversed()) {
    const file = join(folder, part.path)
    try {
      const stats = await lstat(file)
      isUsed ||= EVIDENCE.includes(part.kind)
      await access(file, constants.R_OK | constants.W_OK)
      const isFolder = FOLDERS.includes(part.kind)
      const reason =
        stats.isDirectory() === isFolder
          ? await EXAMINE[part.kind]?.(file, stats, depth)
          : `it is ${isFolder ? 'no' : 'a'} folder`
      if (reason != null) findings.push({ part, problem: 'damaged', reason })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT')
        findings.push({ part, problem: RIGHTS.includes(code!) ? 'rights' : 'damaged', reason: message })
      else if (part.isExpected && isUsed) findings.push({ part, problem: 'missing', reason: 'it is missing' })
    }
  }
  return findings.reverse()
}

/** One sentence for people: which file, what is wrong, what that means, how to go on. */
export function describeFinding(folder: string, { part, problem, reason }: Finding): string {
  const file = join(folder, part.path)
  if (problem === 'rights')
    return `${file} cannot be used (${reason}); check its owner and mode, and how the disk is mounted`
  const what = `${file} is ${problem} (${reason}). It holds ${part.holds}; if it is lost, ${part.loss}`
  return part.remedy == null
    ? `${what}. Restore it from a backup; nothing can make it again. To go on as a new node choose another folder with --data`
    : `${what}. Restore it from a backup, or run: artel doctor --repair (it keeps what is there under another name; ${part.remedy})`
}

/** @throws {DataFolderError} a part is damaged, missing or out of reach */
export async function checkData(folder: string): Promise<void> {
  const error = errorOf(folder, await examineData(folder, 'start'))
  if (error != null) throw error
}

function errorOf(folder: string, findings: Finding[]): DataFolderError | undefined {
  if (findings.length === 0) return undefined
  const more = findings.length === 1 ? '' : `; ${findings.length - 1} more: see artel doctor`
  return new DataFolderError(`${describeFinding(folder, findings[0]!)}${more}`)
}

/**
 * What the disk or a database said, in terms of the data folder; other errors as they are. For the way out of a start
 * that failed, when everything is closed again.
 */
export async function explainStorage(error: Error, folder: string): Promise<Error> {
  const said = storageFault(error, folder)
  return said === error || isFull(error, folder)
    ? said
    : (errorOf(folder, await examineData(folder, 'thorough')) ?? said)
}

/**
 * The same while the node runs: its databases are open, so that nothing is read, but who may write is asked. Other errors
 * as they are.
 */
export function storageFault(error: Error, folder: string): Error {
  const { code, path } = error as { code?: string; path?: unknown } // of other errors, a path is a place in a value
  const isDatabase = code === 'ERR_SQLITE_ERROR' || LEVEL_ERRORS.test(error.name)
  const isOurs =
    isDatabase || DISK_ERRORS.includes(code!) || (typeof path === 'string' && path.startsWith(folder))
  if (!isOurs) return error
  if (isFull(error, folder))
    return new DataFolderError(
      `the disk of ${folder} is full (${error.message}); make room there and try again, nothing that was accepted is lost`,
      { cause: error }
    )
  const [part] = DATA_PARTS.filter(({ path }) => isForbidden(join(folder, path)))
  return new DataFolderError(
    `${part == null ? `the data folder ${folder}` : join(folder, part.path)} cannot be used (${error.message}); check its owner, mode and disk, and look at it with: artel doctor`,
    { cause: error }
  )
}

function isForbidden(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
    return false
  } catch (error) {
    return RIGHTS.includes((error as NodeJS.ErrnoException).code!)
  }
}

const SQLITE_FULL = 13
const DISK_ERRORS = ['ENOSPC', 'EROFS', 'EIO']
const LEVEL_ERRORS = /^(Open|Get|Put|Delete)FailedError$/

function isFull(error: Error, folder: string): boolean {
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: number }
  if (code === 'ENOSPC' || errcode === SQLITE_FULL) return true
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize < 4096
  } catch {
    // not even there, which is another complaint
    return false
  }
}

async function examineKey(file: string, { mode }: Stats): Promise<undefined> {
  if ((mode & 0o077) !== 0)
    throw Object.assign(new Error(`others may read it; run: chmod 600 ${file}`), { code: 'EACCES' })
  await loadOrCreateIdentity(file)
}

function examineSqlite(file: string, { size }: Stats, depth: Depth): string | undefined {
  if (size === 0) return 'it is empty'
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(file, { readOnly: true })
    const check =
      depth === 'thorough'
        ? 'integrity_check(1)'
        : size <= MAX_START_BYTES
          ? 'quick_check(1)'
          : 'schema_version'
    const said = Object.values(db.prepare(`PRAGMA ${check}`).get() ?? {})[0]
    return typeof said === 'string' && said !== 'ok' ? said.replaceAll(/\s+/g, ' ').slice(0, 200) : undefined
  } catch (error) {
    // busy: a running node has it, and will say what is wrong
    return (error as { errcode?: number }).errcode === 5 ? undefined : (error as Error).message
  } finally {
    db?.close()
  }
}

async function examineLevel(folder: string): Promise<string | undefined> {
  const current = (await readFile(join(folder, 'CURRENT'), 'utf8')).trim()
  if (!/^MANIFEST-\d+$/.test(current)) return 'its file CURRENT is damaged'
  // LevelDB takes a manifest that was cut for the whole one, and deletes the tables that it does not name
  if (!isWholeLog(await readFile(join(folder, current)))) return `its file ${current} is damaged`
  for (const name of await readdir(folder)) {
    if (name.endsWith('.ldb') && !(await isTable(join(folder, name)))) return `its file ${name} is damaged`
    if (name.endsWith('.log') && (await isZeroed(join(folder, name)))) return `its file ${name} is damaged`
  }
  return undefined
}

/** Whether a log of LevelDB ends with a whole record (github.com/google/leveldb/blob/main/doc/log_format.md): blocks of 32 KiB, heads of 7 bytes. */
function isWholeLog(bytes: Buffer): boolean {
  let at = 0
  while (at < bytes.length) {
    const left = LEVEL_BLOCK - (at % LEVEL_BLOCK)
    if (left < 7) at += left
    else if (at + 7 > bytes.length || bytes[at + 6] === 0) return false
    else at += 7 + bytes.readUInt16LE(at + 4)
  }
  return bytes.length > 0 && at === bytes.length
}

const isTable = async (file: string): Promise<boolean> =>
  (await bytesAt(file, size => Math.max(0, size - 8))).toString('hex') === LEVEL_MAGIC

const isZeroed = async (file: string): Promise<boolean> => {
  const head = await bytesAt(file, () => 0)
  return head.length > 0 && head.every(byte => byte === 0)
}

/** Up to 8 bytes of a file. */
async function bytesAt(file: string, at: (size: number) => number): Promise<Buffer> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, at((await handle.stat()).size))
  return buffer.subarray(0, bytesRead)
}
