import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hashOfFile, ReleaseError, slots, unpackRelease } from '../../host/index.ts'
import type { Log } from '../context.ts'
import { ExportPathError } from '../errors.ts'
import type { Body } from '../log/entry.ts'
import type { Place } from '../log/recorder.ts'
import { type AgentRelease, RELEASE_CHUNK_BYTES } from '../messages.ts'
import { isMeant, type WantedRelease } from './release.ts'

const { kept, readState, writeState } = slots
const PACKAGE = '.tgz'

export interface ReleasesInit {
  folder: string
  self: string
  /** the folder that this process runs from; base: what was installed; undefined: `artel launch` has not started it */
  slot: slots.Program | undefined
  wanted(): WantedRelease | undefined
  /** nodes that can have it, the likeliest first */
  sources(): readonly string[]
  fetch(peer: string, sha256: string, from: number, signal: AbortSignal): Promise<Uint8Array>
  /** Writes an entry about this node. */
  note(body: Body): Promise<Place>
  /** Whether others have the log up to there, where there are others. */
  isWitnessed(place: Place): boolean
  /** Ends the process; what stands in the state begins. */
  restart(): void
  monoMs?(): number
  log: Log
}

/**
 * Brings this node to the release that the fleet wants: fetched from whoever has it, unpacked beside what works, tried,
 * and kept once it has worked for its time. What is broken is given up with its reason in the log.
 */
export async function createReleases(init: ReleasesInit) {
  const { folder, self, slot, wanted, sources, fetch, note, isWitnessed, restart, log } = init
  const monoMs = init.monoMs ?? (() => performance.now())
  await mkdir(folder, { recursive: true, mode: 0o700 })
  let state = await readState(folder)
  let why: string | undefined
  /** this process is on trial: since when, and its first entry */
  let trial: { since: number; place: Place } | undefined
  let isEnding = false
  /** how often something else came: each time another node is the first that is asked, so that a liar keeps nobody from it */
  let wrong = 0

  const packageOf = (sha256: string): string => join(folder, `${sha256}${PACKAGE}`)
  async function save(next: slots.SlotState): Promise<void> {
    await writeState(folder, next)
    state = next
  }
  const running = () => (slot == null || slot === 'base' ? undefined : state[slot])

  async function tellFailed(): Promise<void> {
    const { failed } = state
    if (failed == null || failed.isTold) return
    const { version, sha256, why: reason } = failed
    await note({ is: 'failed', version, sha256, why: reason })
    await save({ ...state, failed: { ...failed, isTold: true } })
  }

  /** Works long enough, and what it wrote is with others: it is kept. */
  async function onTrial(healthMs: number): Promise<void> {
    const { version, sha256 } = running()!
    trial ??= { since: monoMs(), place: await note({ is: 'on trial', version, sha256 }) }
    if (monoMs() - trial.since < healthMs) return
    if (!isWitnessed(trial.place)) {
      why = 'no witness has what it wrote yet'
      return
    }
    await save(kept(state))
    why = undefined
    await note({ is: 'kept', version, sha256 })
    for (const name of await readdir(folder))
      if (name.includes(PACKAGE) && !name.startsWith(sha256)) await rm(join(folder, name))
  }

  async function have({ sha256, bytes }: WantedRelease, signal: AbortSignal): Promise<void> {
    const whole = packageOf(sha256)
    if ((await sizeOf(whole)) === bytes) return
    const part = `${whole}.part`
    const all = sources()
    const first = wrong % Math.max(1, all.length)
    for (const peer of [...all.slice(first), ...all.slice(0, first)]) {
      try {
        await using file = await open(part, 'a', 0o600)
        for (let { size } = await file.stat(); size < bytes; ) {
          const chunk = await fetch(peer, sha256, size, signal)
          if (chunk.length === 0 || size + chunk.length > bytes) break
          await file.appendFile(chunk)
          size += chunk.length
        }
        await file.sync()
      } catch (error) {
        signal.throwIfAborted()
        log('%s does not give the release: %s', peer, (error as Error).message)
      }
      if ((await sizeOf(part)) === bytes) break
    }
    if ((await sizeOf(part)) !== bytes) throw new Error('nobody who answers has it whole')
    if ((await hashOfFile(part)) !== sha256) {
      await rm(part)
      wrong++
      throw new Error('what came is something else; it is fetched again')
    }
    await rename(part, whole)
  }

  async function tryIt(release: WantedRelease, signal: AbortSignal): Promise<void> {
    const { version, sha256, healthSeconds, startSeconds } = release
    await have(release, signal)
    let unpacked: Awaited<ReturnType<typeof unpackRelease>>
    try {
      unpacked = await unpackRelease(folder, state, { version, sha256, path: packageOf(sha256) })
    } catch (error) {
      state = await readState(folder)
      if (!(error instanceof ReleaseError)) throw error
      await save({ ...state, failed: { version, sha256, why: error.message, isTold: false } })
      return tellFailed()
    }
    const { slot: free } = unpacked
    state = unpacked.state
    await note({ is: 'tried', version, sha256 })
    await save({
      ...state,
      trial: { slot: free, starts: 0, healthMs: healthSeconds * 1000, startMs: startSeconds * 1000 }
    })
    isEnding = true
    restart()
  }

  return {
    /** One step towards what is wanted. */
    async look(signal: AbortSignal): Promise<void> {
      await tellFailed()
      if (slot != null && state.trial?.slot === slot) return onTrial(state.trial.healthMs)
      const release = wanted()
      why = undefined
      if (release == null || isEnding || running()?.sha256 === release.sha256) return
      if (!isMeant(release, self)) return
      if (state.failed?.sha256 === release.sha256 && !state.failed.isDamage) why = state.failed.why
      else if (slot == null) why = 'this node was not started by artel launch'
      else
        try {
          await tryIt(release, signal)
        } catch (error) {
          signal.throwIfAborted()
          why = (error as Error).message
        }
    },

    /** The process before this one was ended by something else than itself; of one on trial the trial tells. */
    async cutOff(): Promise<void> {
      if (state.trial == null) await note({ is: 'cut off', version: running()?.version ?? 'base' })
    },

    state(): AgentRelease {
      const now = running()
      const release = wanted()
      return {
        ...(now == null ? {} : { version: now.version }),
        ...(release == null || !isMeant(release, self) ? {} : { wanted: release.version }),
        isOnTrial: slot != null && state.trial?.slot === slot,
        ...(why == null ? {} : { why: why.slice(0, 500) })
      }
    },

    /** A piece of a package, for others; empty: it is not here, or ends before. */
    async read(sha256: string, from: number): Promise<Uint8Array> {
      try {
        await using file = await open(packageOf(sha256))
        const buffer = new Uint8Array(RELEASE_CHUNK_BYTES)
        const { bytesRead } = await file.read(buffer, 0, buffer.length, from)
        return buffer.subarray(0, bytesRead)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array(0)
        throw error
      }
    },

    /** Keeps a package for the nodes of the fleet. @throws {ExportPathError} it cannot be read */
    async add(path: string): Promise<{ sha256: string; bytes: number }> {
      const draft = join(folder, `new${PACKAGE}.part`)
      try {
        await copyFile(path, draft)
      } catch (error) {
        throw new ExportPathError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code})`)
      }
      const sha256 = await hashOfFile(draft)
      await rename(draft, packageOf(sha256))
      return { sha256, bytes: (await sizeOf(packageOf(sha256)))! }
    }
  }
}

export type Releases = Awaited<ReturnType<typeof createReleases>>

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
