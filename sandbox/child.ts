import { type ChildProcess, execFile } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { FRAME } from './child-main.ts'
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
  /** Resident bytes of the process, 0 when it is gone. */
  residentBytes(): number
  /** The kernel gives it no more than `bytes` of writable memory above what it has now, if there is a way to say so. */
  limitMemory(bytes: number): Promise<void>
  /** SIGKILL. The only way a child ends. */
  kill(): void
}

const PAGE_BYTES = 4096
/** How V8 ends its process when it gets no more memory; a wrapper reports it as 128 + number. */
const TRAPS = [
  ['SIGILL', 4],
  ['SIGTRAP', 5],
  ['SIGABRT', 6]
] as const
const START_MS = 10_000 // a loaded machine may take long; a child that needs longer will never be useful
const SMALL_FRAME_BYTES = 65_536
const JOINED_BYTES = 65_536 // up to here a copy is cheaper than to write each value by itself

/**
 * Waits until a freshly spawned process says that it is ready. `pidOf` gives the process whose memory counts, which is
 * not the spawned one where that is only a wrapper; `prlimit` is the program that sets limits. Throws SandboxUnavailableError.
 */
export async function createChild(
  process_: ChildProcess,
  pidOf: () => Promise<number>,
  prlimit?: string
): Promise<Child> {
  const { stdin, stdout } = process_
  let statm: number | undefined
  let pid: number | undefined
  let killed = false
  let outOfMemory = false
  let gone = false
  const buffer = Buffer.alloc(128)
  const ended = new Promise<End>(resolve => {
    process_.once('error', () => resolve('crashed'))
    process_.once('close', (code, signal) => {
      if (statm !== undefined) closeSync(statm)
      statm = undefined
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
    residentBytes() {
      if (statm === undefined) return 0
      try {
        const n = readSync(statm, buffer, 0, buffer.length, 0)
        return Number(buffer.toString('latin1', 0, n).split(' ')[1]) * PAGE_BYTES
      } catch {
        return 0 // it ended between the two lines; `ended` says so
      }
    },
    async limitMemory(bytes) {
      if (prlimit === undefined || statm === undefined || !child.alive) return
      const now = Number(/^VmData:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
      await new Promise<void>((resolve, reject) => {
        execFile(prlimit, ['--pid', String(pid), `--data=${now + bytes}`], error =>
          error ? reject(error) : resolve()
        )
      })
    },
    kill() {
      killed = true
      // the process itself first, so that its memory is free at once; the wrapper follows it
      if (pid !== undefined && process_.exitCode === null && process_.signalCode === null) killPid(pid)
      process_.kill('SIGKILL')
    }
  }
  stdin!.on('error', () => {}) // EPIPE of a process that died; `ended` says so
  const ready = new Promise<void>((resolve, reject) => {
    readFrames(stdout!, {
      maxBytes: () => child.maxFrameBytes,
      onWild: () => child.kill(),
      onFrame: (type, body) => {
        if (type === FRAME.ready) resolve()
        else if (type === FRAME.failed) {
          outOfMemory = true
          child.kill()
        } else child.onFrame(type, body)
      }
    })
    ended.then(() => reject(new SandboxUnavailableError('the child process did not start')))
  })
  const timer = setTimeout(() => child.kill(), START_MS)
  try {
    await ready
    pid = await pidOf()
    if (process.platform === 'linux') statm = openSync(`/proc/${pid}/statm`, 'r')
  } catch (error) {
    child.kill()
    throw error
  } finally {
    clearTimeout(timer)
  }
  return child
}

function killPid(pid: number) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
