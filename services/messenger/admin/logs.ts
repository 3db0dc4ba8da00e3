import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const FOLDER = 'logs'
/** of the end of a log, which has the lines that are asked for: a month of it may be larger than memory */
const TAIL_BYTES = 1024 * 1024
const DAY_MS = 24 * 3_600_000
const KEPT_MS = 30 * DAY_MS
const REPORT_HOUR = 8

/**
 * what is asked, and sign-ins that fail; what failed by a mistake of the program; what the database says; who follows what happens;
 * the report of each day
 */
export const LOGS = ['server', 'error', 'database', 'websocket', 'report'] as const
export type LogName = (typeof LOGS)[number]
export type Level = 'debug' | 'info'

/** What was asked of this node; nothing of what is written in chats, and no key. */
export interface Asked {
  operation: string
  /** whether it only looks */
  isRead: boolean
  by: string
  ms: number
  error?: Error
}
const FAILED = 'sign-ins failed: '
const FAILURE = new RegExp(`^(\\S+) WARNING ${FAILED}(\\d+) from (.+)$`)
const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
/** of the day's week, by UTC: day 0 was a Thursday */
const mondayOf = (ms: number): number => ms - ((Math.floor(ms / DAY_MS) + 3) % 7) * DAY_MS

/** Of the program or the machine: what is refused has a name of its own. */
const isFault = (error: Error): boolean => !Object.hasOwn(error, 'name')

export type Logs = ReturnType<typeof createLogs>

/** A file for each, which another takes the place of with the month, or week. `now`: ms since 1970. */
export function createLogs(service: string, now: () => number) {
  const folder = join(service, FOLDER)
  const fileOf = (name: string): string => join(folder, `${name}.log`)
  const periodOf = (name: LogName, ms: number): string =>
    name === 'websocket' ? dayOf(mondayOf(ms)) : dayOf(ms).slice(0, 7)
  let debugUntil = 0

  function turn(name: LogName): void {
    const before = statSync(fileOf(name), { throwIfNoEntry: false })
    if (before == null) return
    const period = periodOf(name, before.mtimeMs)
    if (period < periodOf(name, now())) renameSync(fileOf(name), fileOf(`${name}-${period}`))
  }
  function write(name: LogName, level: string, text: string): void {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      turn(name)
      appendFileSync(fileOf(name), `${new Date(now()).toISOString()} ${level} ${text}\n`, { mode: 0o600 })
    } catch {
      // a full disk is told by all that needs it; a line less keeps nothing from being done
    }
  }

  async function linesOf(name: string): Promise<string[]> {
    const text = await readEnd(fileOf(name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    return text === '' ? [] : text.trimEnd().split('\n')
  }

  return {
    asked({ operation, isRead, by, ms, error }: Asked): void {
      if (error != null && isFault(error)) {
        const isOfDatabase = (error as NodeJS.ErrnoException).code === 'ERR_SQLITE_ERROR'
        if (isOfDatabase) write('database', 'WARNING', `${operation}: ${error.message}`)
        else write('error', 'ERROR', `${operation}: ${error.stack ?? error.message}`)
      }
      const isTold = !isRead || error != null || now() < debugUntil
      if (isTold)
        write(
          'server',
          'INFO',
          `${operation} ${Math.round(ms)} ms by ${by}${error == null ? '' : ` ${error.name}`}`
        )
    },
    health: (level: 'INFO' | 'WARNING', text: string): void => write('server', level, `health ${text}`),
    socket: (text: string): void => write('websocket', 'INFO', text),
    failedSignIns: (times: number, from: string): void =>
      write('server', 'WARNING', `${FAILED}${times} from ${from}`),
    wrong: (text: string): void => write('database', 'WARNING', text),
    report: (lines: readonly string[]): void =>
      write('report', 'INFO', ['the checks of the day', ...lines].join('\n  ')),

    /** Whether eight in the morning, by the clock of this place, has come since the last report. */
    async isReportDue(): Promise<boolean> {
      const at = new Date(now())
      at.setHours(REPORT_HOUR, 0, 0, 0)
      const last = await stat(fileOf('report')).catch(() => undefined)
      return now() >= at.getTime() && (last?.mtimeMs ?? 0) < at.getTime()
    },
    /** The newest lines of a log, the newest last; of its last MiB. */
    tail: async (name: LogName, count: number): Promise<string[]> => (await linesOf(name)).slice(-count),
    /** Sign-ins that failed in the last 30 days, by whence, as far as the logs of this month and the last say. */
    async failures(): Promise<Map<string, number>> {
      const found = new Map<string, number>()
      const before = new Date(now())
      before.setUTCDate(0)
      const lines = [
        ...(await linesOf(`server-${periodOf('server', before.getTime())}`)),
        ...(await linesOf('server'))
      ]
      for (const line of lines) {
        const [, at, times, from] = FAILURE.exec(line) ?? []
        if (from == null || Date.parse(at!) < now() - KEPT_MS) continue
        found.set(from, (found.get(from) ?? 0) + Number(times))
      }
      return found
    },
    /** `debug`: what only looks is told too, for so long. Until when, ms since 1970. */
    setLevel(level: Level, forMs: number): number {
      debugUntil = level === 'debug' ? now() + forMs : 0
      return debugUntil
    },
    /** Lets go of those that ended more than 30 days ago. How many. */
    async dropOld(): Promise<number> {
      const names = await readdir(folder).catch(() => [])
      let count = 0
      for (const name of names.filter(each => /-\d{4}-\d{2}(-\d{2})?\.log$/.test(each))) {
        if ((await stat(join(folder, name))).mtimeMs > now() - KEPT_MS) continue
        await rm(join(folder, name), { force: true })
        count++
      }
      return count
    }
  }
}

/** Whole lines of the last MiB of a file. */
async function readEnd(file: string): Promise<string> {
  await using handle = await open(file)
  const { size } = await handle.stat()
  const from = Math.max(0, size - TAIL_BYTES)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from)
  const text = buffer.toString('utf8', 0, bytesRead)
  return from === 0 ? text : text.slice(text.indexOf('\n') + 1)
}
