import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { syncFolder } from '../../../bootstrap/files.ts'
import type { Uuid } from '../contract.ts'
import { StorageError } from '../errors.ts'
import type { Database } from '../store/database.ts'
import { type Description, describeMachines } from './description.ts'
import { DESCRIPTION_FILE, lastLine } from './description-file.ts'
import { isFull, openJournal } from './journal.ts'

/** Machines that are written together. */
const AT_ONCE = 64
/** Descriptions that are kept in memory: so many, of so many characters at most. */
const MOST_KNOWN = 4_096
const KNOWN_CHARS = 4_096

/** What is registered after a change, by what was written before it; undefined where that is to be read. */
type Change = (before: Description | undefined) => Description | undefined

interface Waiting {
  machine: Uuid
  change: Change
  done(): void
  failed(error: Error): void
}

/** Writes all that is registered of a machine, for its folder, where it is on the disk when the promise resolves. */
export interface Descriptions {
  /**
   * @param change for a `joint` statement alone, which is in turn with all transactions: nothing has to be read after
   *   it. Default: everything is read.
   */
  (machine: Uuid, change?: Change): Promise<void>
  /** Then it stands in the folder of each machine, where a crash would have left some of it in the common journal. */
  settle(): Promise<void>
  close(): Promise<void>
}

/**
 * Those who ask while others are written are written together: their records are read by one set of queries, and no
 * older state of a machine comes after a newer one.
 *
 * @param machines their folders lie in it, the journal beside it
 */
export async function createDescriptions(
  db: Database,
  machines: string,
  onFault: (error: Error) => void
): Promise<Descriptions> {
  const fileOf = (machine: Uuid) => join(machines, machine, DESCRIPTION_FILE)
  const journal = await openJournal(dirname(machines), fileOf, onFault)
  /** of which a line was written in this run, so that what their own files say is old */
  const begun = new Set<Uuid>()
  /** as they were written last */
  const known = new Map<Uuid, Description>()
  const waiting: Waiting[] = []
  let isWriting = false

  /** As they are now: changed where it is known how, read where not. */
  async function describeThese(these: readonly Waiting[]): Promise<Description[]> {
    const now = new Map<Uuid, Description | undefined>()
    for (const { machine, change } of these)
      now.set(machine, change(now.has(machine) ? now.get(machine) : known.get(machine)))
    const unknown = [...now].flatMap(([uuid, one]) => (one === undefined ? [uuid] : []))
    const read = unknown.length === 0 ? [] : await db.together(queries => describeMachines(queries, unknown))
    return [...[...now.values()].filter(one => one !== undefined), ...read]
  }

  function keep(one: Description, line: string) {
    if (known.size >= MOST_KNOWN) known.clear()
    if (line.length <= KNOWN_CHARS) known.set(one.machine.uuid, one)
    else known.delete(one.machine.uuid)
  }

  /** Lines that are not on the disk already. */
  async function newLines(described: readonly Description[]): Promise<Map<Uuid, string>> {
    const lines = new Map<Uuid, string>()
    let hasNewFolder = false
    for (const one of described) {
      const { uuid } = one.machine
      const line = `${JSON.stringify(one)}\n`
      keep(one, line)
      const file = fileOf(uuid)
      const isNew = mkdirSync(dirname(file), { recursive: true, mode: 0o700 }) !== undefined
      hasNewFolder ||= isNew
      if (isNew || begun.has(uuid) || (await lastLine(file)) !== line) lines.set(uuid, line)
    }
    for (const uuid of lines.keys()) begun.add(uuid)
    if (hasNewFolder) await syncFolder(machines)
    return lines
  }

  async function writeThese(these: readonly Waiting[]): Promise<void> {
    const failed = (error: Error) => {
      for (const one of these) {
        known.delete(one.machine)
        one.failed(noRoom(error))
      }
    }
    let described: Description[]
    try {
      described = await describeThese(these)
    } catch (error) {
      if (these.length === 1) return failed(error as Error)
      // what is damaged costs one machine
      for (const one of these) await writeThese([one])
      return
    }
    try {
      const lines = await newLines(described)
      // the next ones are read while these wait for the disk
      journal.append(lines).then(() => {
        for (const { done } of these) done()
      }, failed)
    } catch (error) {
      failed(error as Error)
    }
  }

  async function writeAll(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) await writeThese(waiting.splice(0, AT_ONCE))
    isWriting = false
  }

  const describe = (machine: Uuid, change: Change = () => undefined): Promise<void> =>
    new Promise((done, failed) => {
      waiting.push({ machine, change, done, failed })
      if (!isWriting) void writeAll()
    })
  return Object.assign(describe, { settle: journal.settle, close: journal.close })
}

function noRoom(error: Error): Error {
  if (!isFull(error)) return error
  return new StorageError('this host has no room for the description of the machine', { cause: error })
}
