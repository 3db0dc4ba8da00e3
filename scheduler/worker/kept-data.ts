import { hash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { digestOfBlock } from '../data/chunked-data.ts'

/*
 * Results that stay at this worker for later jobs of who asked for them: blocks in files, `<folder>/<requester>/<job>/
 * <digest>`, so that they outlive the process. All three names are hashes made here. Each requester has so many bytes,
 * and what was not used for an hour goes.
 */

/** What one requester may have stored here. */
export const KEPT_BYTES = 4 * 1024 ** 3
// Of all requesters but this node itself: names are cheap, disks are not.
const MOST_BYTES = 4 * KEPT_BYTES
// A file takes so much at least: else tiny results would fill a disk without meeting the quota.
const DISK_BLOCK_BYTES = 4096
/** After the last use. Requesters let go a little earlier (jobs/datasets.ts). */
export const KEPT_MS = 65 * 60_000
// A use is written down no more often than this: a file's time is changed on disk.
const TOUCH_MS = 60_000

interface KeptJob {
  requester: string
  folder: string
  own: boolean
  usedAt: number
  touchedAt: number
  /** bytes on disk by the names of its blocks */
  blocks: Map<string, number>
}

/** `folder`: undefined where nothing is kept. `quotaBytes`: for each requester, without this node itself. */
export function openKeptData({
  folder,
  self,
  quotaBytes = KEPT_BYTES,
  lifetimeMs = KEPT_MS,
  now = Date.now
}: {
  folder?: string
  /** this node, whose own jobs have no quota */
  self: string
  quotaBytes?: number
  lifetimeMs?: number
  now?: () => number
}) {
  const own = nameOf(self)
  const jobs = new Map<string, KeptJob>()
  /** jobs that have a block, by its name */
  const places = new Map<string, Set<KeptJob>>()
  const used = new Map<string, number>()
  let others = 0

  function count(requester: string, bytes: number): void {
    used.set(requester, (used.get(requester) ?? 0) + bytes)
    if (used.get(requester) === 0) used.delete(requester)
    if (requester !== own) others += bytes
  }

  function jobOf(requester: string, name: string, usedAt: number): KeptJob {
    const key = keyOf(requester, name)
    const before = jobs.get(key)
    if (before != null) return before
    const job: KeptJob = {
      requester,
      folder: join(folder!, requester, name),
      own: requester === own,
      usedAt,
      touchedAt: usedAt,
      blocks: new Map()
    }
    jobs.set(key, job)
    return job
  }

  function add(job: KeptJob, block: string, bytes: number): void {
    job.blocks.set(block, bytes)
    places.set(block, (places.get(block) ?? new Set()).add(job))
    count(job.requester, bytes)
  }

  /** Counts a block no more; bytes. */
  function forget(job: KeptJob, block: string): number {
    const bytes = job.blocks.get(block)!
    job.blocks.delete(block)
    const at = places.get(block)!
    at.delete(job)
    if (at.size === 0) places.delete(block)
    count(job.requester, -bytes)
    return bytes
  }

  function drop(key: string): number {
    const job = jobs.get(key)
    if (job == null) return 0
    jobs.delete(key)
    let bytes = 0
    for (const block of job.blocks.keys()) bytes += forget(job, block)
    rmSync(job.folder, { recursive: true, force: true })
    return bytes
  }

  function touch(job: KeptJob): void {
    job.usedAt = now()
    if (job.usedAt - job.touchedAt < TOUCH_MS) return
    job.touchedAt = job.usedAt
    utimesSync(job.folder, job.usedAt / 1000, job.usedAt / 1000)
  }

  /** What an earlier process kept. */
  function read(): void {
    if (folder == null) return
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const requester of foldersIn(folder))
      for (const name of foldersIn(join(folder, requester))) {
        const at = join(folder, requester, name)
        const job = jobOf(requester, name, statSync(at).mtimeMs)
        for (const entry of readdirSync(at, { withFileTypes: true })) {
          const block = join(at, entry.name)
          if (entry.isFile() && BLOCK.test(entry.name)) add(job, entry.name, onDisk(statSync(block).size))
          else if (entry.name.endsWith(PART)) rmSync(block, { force: true })
        }
      }
  }

  const room = (requester: string): number =>
    requester === own
      ? Number.POSITIVE_INFINITY
      : Math.min(quotaBytes - (used.get(requester) ?? 0), MOST_BYTES - others)

  const objectionTo = (requester: string, bytes: number): string | undefined =>
    bytes <= room(requester)
      ? undefined
      : `the quota of kept data is full: ${used.get(requester) ?? 0} bytes of ${quotaBytes} are yours here; release datasets`

  read()

  return {
    /** Why nothing more is kept for this requester; undefined while there is room. */
    objection(requester: string): string | undefined {
      if (folder == null) return 'this worker keeps no data'
      return objectionTo(nameOf(requester), 1)
    },

    /** Keeps blocks of a job of `requester`, or says why not; then none of them is kept. Throws as node:fs does. */
    put(requester: string, job: string, blocks: readonly [Uint8Array, Uint8Array][]): string | undefined {
      if (folder == null) return 'this worker keeps no data'
      if (blocks.length === 0) return
      const [owner, name] = [nameOf(requester), nameOf(job)]
      const before = jobs.get(keyOf(owner, name))?.blocks
      const missing = new Map(
        blocks
          .map(([digest, block]): [string, Uint8Array] => [hex(digest), block])
          .filter(([block]) => !before?.has(block))
      )
      const bytes = [...missing.values()].reduce((sum, { length }) => sum + onDisk(length), 0)
      const reason = objectionTo(owner, bytes)
      if (reason != null) return reason
      const to = jobOf(owner, name, now())
      mkdirSync(to.folder, { recursive: true, mode: 0o700 })
      for (const [name, block] of missing) {
        const file = join(to.folder, name)
        // whole or not at all, also where this process is killed
        writeFileSync(`${file}${PART}`, block, { mode: 0o600 })
        renameSync(`${file}${PART}`, file)
        add(to, name, onDisk(block.length))
      }
      touch(to)
      return
    },

    /** A block, which is what its name says; undefined where it is not here any more, and then it can be put again. */
    get(digest: Uint8Array): Uint8Array | undefined {
      const name = hex(digest)
      for (const job of places.get(name) ?? []) {
        try {
          const block = readFileSync(join(job.folder, name))
          if (Buffer.compare(digestOfBlock(block), digest) === 0) {
            touch(job)
            return block
          }
        } catch (err) {
          if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
        }
        forget(job, name)
      }
      return
    },

    /** Removes what jobs of `requester` kept here; bytes. */
    release: (requester: string, ids: readonly string[]): number =>
      ids.reduce((bytes, job) => bytes + drop(keyOf(nameOf(requester), nameOf(job))), 0),

    /** Removes what was not used for too long. */
    expire(): void {
      for (const [key, { usedAt }] of jobs) if (now() - usedAt > lifetimeMs) drop(key)
    },

    /** bytes on disk that are kept for others */
    get bytes(): number {
      return others
    }
  }
}

export type KeptData = ReturnType<typeof openKeptData>

const BLOCK = /^[0-9a-f]{64}$/
// of what is being written
const PART = '.part'
/** What somebody else put there is left alone. */
const foldersIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? entry.name : []))
const onDisk = (bytes: number): number => Math.ceil(bytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES
const hex = (digest: Uint8Array): string => Buffer.from(digest).toString('hex')
const keyOf = (requester: string, job: string): string => `${requester}/${job}`
const nameOf = (text: string): string => hash('sha256', text, 'hex').slice(0, 32)
