import { type ChildProcess, execFile } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { FRAME, FRAMES_FD } from './child-main.ts'
import { SandboxUnavailableError } from './errors.ts'
import { readFrames } from './frames.ts'

/** Why a child is gone. */
export type End = 'killed' | 'out-of-memory' | 'crashed'

/** One child process as the node sees it: frames in, frames out, memory, an end. */
export interface Child {
  /** of the process that runs the code, as seen from here */
  readonly pid: number
  /** settles once, when the process is gone */
  readonly ended: Promise<End>
  /** false once it is gone or `kill` was called */
  readonly alive: boolean
  /** largest frame that is accepted from it */
  maxFrameBytes: number
  onFrame: (type: number, body: Buffer) => void
  send(parts: Uint8Array[]): void
  /** What it wrote to standard output and error of its own accord (V8 does), at most SAID_CHARS. */
  readonly said: string
  /** What the process holds now; zeros when it is gone. */
  usage(): { bytes: number; threads: number }
  /**
   * The kernel gives it no more than `bytes` of writable memory above what it has now, and no more than MAX_THREADS
   * threads (root is not asked; the watchdog counts them), if there is a way to say so.
   */
  limit(bytes: number): Promise<void>
  /** SIGKILL. The only way a child ends. */
  kill(): void
}

/** What a child is told before it is ready. */
export interface Start {
  /** the frame */
  parts: Uint8Array[]
  /** how long it may take */
  ms: number
  /** what it answers with its readiness, at most `maxBytes` */
  onReady: (body: Buffer) => void
  maxBytes: number
}

/** Node and V8 make five while they start, and none afterwards. */
export const MAX_THREADS = 16
export const SAID_CHARS = 4096
const SPEAKS_BYTES = 1 << 20 // V8 has a line for a function at most; more is somebody who wants the node to listen
/** How V8 ends its process when it gets no more memory; a wrapper reports it as 128 + number. */
const TRAPS = [
  ['SIGILL', 4],
  ['SIGTRAP', 5],
  ['SIGABRT', 6]
] as const
const NOTHING = { bytes: 0, threads: 0 }
const STATUS_BYTES = 4096
/**
 * Of /proc/PID/status. Page tables count as well: whoever touches one page in 2 MiB of a mapping that is only read has
 * as much in them as he likes, and next to nothing resident.
 */
const USAGE = /^VmRSS:\s*(\d+).*?^VmPTE:\s*(\d+).*?^Threads:\s*(\d+)/ms
const START_MS = 60_000 // a loaded machine may take long; a child that needs longer will never be useful
const SMALL_FRAME_BYTES = 65_536
const JOINED_BYTES = 65_536 // up to here a copy is cheaper than to write each value by itself

/**
 * Waits until a freshly spawned process says that it is ready. `pidOf` gives the process whose memory counts, which is
 * not the spawned one where that is only a wrapper; `prlimit` is the program that sets limits. Throws SandboxUnavailableError.
 */
export async function createChild(
  process_: ChildProcess,
  pidOf: () => Promise<number>,
  { prlimit }: { prlimit?: string },
  start?: Start
): Promise<Child> {
  const { stdin, stdout, stderr } = process_
  let status: number | undefined
  let said = ''
  let heardBytes = 0
  let pid: number | undefined
  let killed = false
  let outOfMemory = false
  let gone = false
  const buffer = Buffer.alloc(STATUS_BYTES)
  const ended = new Promise<End>(resolve => {
    process_.once('error', () => resolve('crashed'))
    process_.once('close', (code, signal) => {
      if (status !== undefined) closeSync(status)
      status = undefined
      gone = true
      const trapped = TRAPS.some(([name, number]) => signal === name || code === 128 + number)
      resolve(outOfMemory ? 'out-of-memory' : killed ? 'killed' : trapped ? 'out-of-memory' : 'crashed')
    })
  })
  const child: Child = {
    get pid() {
      return pid!
    },
    get alive() {
      return !gone && !killed
    },
    ended,
    maxFrameBytes: SMALL_FRAME_BYTES,
    onFrame: () => {},
    send(parts) {
      const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
      if (bytes <= JOINED_BYTES) {
        stdin!.write(Buffer.concat(parts, bytes))
        return
      }
      stdin!.cork()
      for (const part of parts) stdin!.write(part)
      stdin!.uncork()
    },
    get said() {
      return said
    },
    usage() {
      if (status === undefined) return NOTHING
      try {
        const text = buffer.toString('latin1', 0, readSync(status, buffer, 0, buffer.length, 0))
        const [, resident, tables, threads] = USAGE.exec(text) ?? []
        if (threads === undefined) return NOTHING // a zombie
        return { bytes: 1024 * (Number(resident) + Number(tables)), threads: Number(threads) }
      } catch {
        return NOTHING // it ended between the two lines; `ended` says so
      }
    },
    async limit(bytes) {
      if (prlimit === undefined || status === undefined || !child.alive) return
      const now = Number(/^VmData:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
      await new Promise<void>((resolve, reject) => {
        const limits = [`--data=${now + bytes}`, `--nproc=${MAX_THREADS}`]
        execFile(prlimit, ['--pid', String(pid), ...limits], error => (error ? reject(error) : resolve()))
      })
    },
    kill() {
      killed = true
      // the process itself first, so that its memory is free at once; the wrapper follows it
      if (pid !== undefined && process_.exitCode === null && process_.signalCode === null) killPid(pid)
      process_.kill('SIGKILL')
    }
  }
  for (const stream of [stdout!, stderr!]) {
    const text = new StringDecoder() // a character may come in two pieces
    stream.on('data', (data: Buffer) => {
      heardBytes += data.length
      if (said.length < SAID_CHARS) said = (said + text.write(data)).slice(0, SAID_CHARS)
      if (heardBytes > SPEAKS_BYTES) child.kill()
    })
  }
  stdin!.on('error', () => {}) // EPIPE of a process that died; `ended` says so
  const ready = new Promise<void>((resolve, reject) => {
    readFrames((process_.stdio as unknown as Readable[])[FRAMES_FD]!, {
      maxBytes: () => child.maxFrameBytes,
      onWild: () => child.kill(),
      onFrame: (type, body) => {
        if (type === FRAME.ready) {
          start?.onReady(body)
          resolve()
        } else if (type === FRAME.failed) {
          outOfMemory = true
          child.kill()
        } else child.onFrame(type, body)
      }
    })
    ended.then(() => reject(new SandboxUnavailableError(`the child process did not start: ${said.trim()}`)))
  })
  if (start !== undefined) {
    child.maxFrameBytes = start.maxBytes
    child.send(start.parts)
  }
  const timer = setTimeout(() => child.kill(), start?.ms ?? START_MS)
  try {
    await ready
    pid = await pidOf()
    if (process.platform === 'linux') status = openSync(`/proc/${pid}/status`, 'r')
  } catch (error) {
    child.kill()
    throw error
  } finally {
    clearTimeout(timer)
  }
  child.maxFrameBytes = SMALL_FRAME_BYTES
  return child
}

function killPid(pid: number) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
