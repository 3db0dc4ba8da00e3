import { closeSync, existsSync, fdatasync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { syncFolder } from '../../../bootstrap/files.ts'
import type { Uuid } from '../contract.ts'
import { createInTurn } from '../store/in-turn.ts'
import { addLine } from './description-file.ts'

const NAME = /^changes-(\d+)\.json$/
/** Then its lines go into the files of their machines, and another one is begun. */
const MOST_BYTES = 8 << 20
/** So long after the last change they go there, too. */
const LEISURE_MS = 5_000
/** Zeros follow what is written, so that the file seldom grows: then what is new waits for the disk, but for no record of it. */
const LEAST_ALLOCATED = 64 * 1024

const sync = promisify(fdatasync)

/** Newest lines of machines that their own files do not have yet. */
type Lines = ReadonlyMap<Uuid, string>

/**
 * Descriptions of many machines in one file, so that all that change at once wait for the disk once. Their own files
 * have them when there is leisure.
 */
export interface Journal {
  /** On the disk when the promise resolves; after what was given before. */
  append(lines: Lines): Promise<void>
  /** Puts what it holds into the machines' own files. */
  settle(): Promise<void>
  /** What is in it stays there, and is put where it belongs when it is opened again. */
  close(): Promise<void>
}

/**
 * @param folder where its files lie; those that an earlier run left are put where they belong
 * @param fileOf that of a machine; one whose folder is gone needs no more
 */
export async function openJournal(
  folder: string,
  fileOf: (machine: Uuid) => string,
  onFault: (error: Error) => void
): Promise<Journal> {
  const left = numbered(await readdir(folder))
  /** in the order in which they were written */
  const full: { file: string; lines: Lines }[] = []
  for (const { name } of left) {
    const file = join(folder, name)
    full.push({ file, lines: wholeLines(await readFile(file, 'utf8')) })
  }
  let number = left.at(-1)?.at ?? 0
  let isClosed = false
  /** its file is closed: the number of it may be that of another file by now */
  let hasEnded = false
  await moveOut()
  let current = await begin()
  let moving = Promise.resolve()
  const inTurn = createInTurn()
  const leisure = setTimeout(() => void settle(), LEISURE_MS).unref()

  async function begin() {
    const file = join(folder, `changes-${++number}.json`)
    const fd = openSync(file, 'w', 0o600)
    await syncFolder(folder)
    return { fd, file, bytes: 0, allocated: 0, lines: new Map<Uuid, string>() }
  }

  /** Those that were written first come first; where the disk is full the rest waits. */
  async function moveOut() {
    for (;;) {
      const [first] = full
      if (first === undefined) return
      for (const [machine, line] of first.lines) {
        // the rest is found when it is opened again
        if (isClosed) return
        try {
          await put(machine, line)
        } catch (error) {
          // removed meanwhile
          if (!existsSync(dirname(fileOf(machine)))) continue
          onFault(error as Error)
          if (isFull(error as Error)) return
        }
      }
      await rm(first.file, { force: true })
      full.shift()
    }
  }

  async function put(machine: Uuid, line: string) {
    const file = fileOf(machine)
    if (existsSync(dirname(file))) await addLine(file, line)
  }

  async function settle() {
    await inTurn(async () => {
      if (hasEnded || current.lines.size === 0) return
      const next = await begin()
      closeSync(current.fd)
      full.push(current)
      current = next
    }).catch(onFault)
    moving = moving.then(moveOut).catch(onFault)
    await moving
  }

  async function append(lines: Lines) {
    if (hasEnded) throw new Error('the journal of machines is closed')
    const { fd, bytes } = current
    const text = Buffer.from([...lines.values()].join(''))
    const end = bytes + text.length
    try {
      // into memory, which is no work for another thread; what waits for the disk is
      if (end > current.allocated) {
        const zeros = Buffer.alloc(Math.max(LEAST_ALLOCATED, end))
        writeAt(fd, zeros, end)
        current.allocated = end + zeros.length
      }
      writeAt(fd, text, bytes)
      await sync(fd)
    } catch (error) {
      ftruncateSync(fd, bytes)
      current.allocated = bytes
      throw error
    }
    for (const [machine, line] of lines) current.lines.set(machine, line)
    current.bytes = end
    leisure.refresh()
    if (current.bytes > MOST_BYTES) void settle()
  }

  return {
    append: lines => inTurn(() => append(lines)),
    settle,
    async close() {
      isClosed = true
      clearTimeout(leisure)
      await inTurn(async () => {
        hasEnded = true
        closeSync(current.fd)
        if (current.lines.size === 0) await rm(current.file, { force: true })
      })
      await moving
    }
  }
}

function numbered(names: readonly string[]): { at: number; name: string }[] {
  return names
    .flatMap(name => {
      const at = NAME.exec(name)?.[1]
      return at === undefined ? [] : [{ at: Number(at), name }]
    })
    .sort((a, b) => a.at - b.at)
}

function writeAt(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at)
}

/** What a loss of power has cut off, and what stands after it, was never answered for. */
function wholeLines(text: string): Lines {
  const lines = new Map<Uuid, string>()
  for (const line of text.split('\n').slice(0, -1))
    try {
      lines.set(JSON.parse(line).machine.uuid, `${line}\n`)
    } catch {
      break
    }
  return lines
}

export const isFull = ({ code }: NodeJS.ErrnoException): boolean => code === 'ENOSPC' || code === 'EDQUOT'
