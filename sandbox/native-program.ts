import { type Child, MAX_THREADS } from './child.ts'
import { FRAME, FRAMES_FD } from './child-main.ts'
import { SandboxUnavailableError, ValueError, WallMissingError } from './errors.ts'
import { frame } from './frames.ts'
import { buildWalls, findTools, type Launcher } from './walls.ts'

const MIB = 1 << 20
const ERROR_CHARS = 500
const ERROR_BYTES = 3 * ERROR_CHARS // whoever is in there may say more
// The kernel counts no memory that cannot be written any more, no page tables, and no threads of root: how often it is looked at.
const LOOK_MS = 50

/** Native code of the node's own that reads what strangers have made: a library of pictures, say. */
export interface NativeProgram {
  /** Source text of `(require) => (input: Buffer) => Promise<Uint8Array>`, self-contained; what it throws is told. */
  work: string
  /** native modules that it loads, and whose libraries it sees */
  addons: string[]
  /** files and folders that it reads */
  files: string[]
  /** that an input may take beside what the process has at its start */
  memoryMb: number
  outputBytes: number
  /** folders of the programs that build the walls; default: PATH */
  toolPath?: string
}

export interface NativeChild {
  /** as seen from here */
  readonly pid: number
  /**
   * One input at a time.
   *
   * @throws {ValueError} the program says what is wrong with the input
   * @throws {SandboxUnavailableError} the process has ended
   * @throws the reason of the signal, and the process has ended
   */
  run(input: Uint8Array, options: { signal: AbortSignal }): Promise<Buffer>
  kill(): void
}

/** Starts processes of a program behind the walls that stand around strangers' code; never without them. */
export function createNativeProgram({ work, addons, files, memoryMb, outputBytes, toolPath }: NativeProgram) {
  let launcher: Launcher | undefined
  const source = `"use strict";(${nativeMain})(require,${JSON.stringify(FRAME)},${FRAMES_FD},${work},${ERROR_CHARS})`

  /** @throws {WallMissingError} */
  async function look(): Promise<Launcher> {
    if (launcher !== undefined) return launcher
    const seen = await buildWalls({ source, flags: [], addons, files }, findTools(toolPath))
    const missing = seen.walls.filter(({ present }) => !present)
    if (missing.length > 0)
      throw new WallMissingError(missing.map(({ name, detail }) => `${name}: ${detail}`).join('; '))
    launcher = seen
    return seen
  }

  return {
    /**
     * Whether it can be started; once it could, that is known.
     *
     * @throws {WallMissingError}
     */
    async check(): Promise<void> {
      await look()
    },
    /**
     * @throws {WallMissingError}
     * @throws {SandboxUnavailableError} it does not start
     */
    async open(): Promise<NativeChild> {
      const child = await (await look()).launch(true)
      try {
        await child.limit(memoryMb * MIB)
      } catch (error) {
        child.kill()
        throw new SandboxUnavailableError(`its memory could not be limited: ${(error as Error).message}`)
      }
      child.maxFrameBytes = outputBytes
      watch(child, memoryMb * MIB)
      return nativeChild(child)
    }
  }
}

function watch(child: Child, bytes: number): void {
  const most = child.usage().bytes + bytes
  const timer = setInterval(() => {
    const now = child.usage()
    if (now.bytes > most || now.threads > MAX_THREADS) child.kill()
  }, LOOK_MS).unref()
  void child.ended.then(() => clearInterval(timer))
}

function nativeChild(child: Child): NativeChild {
  return {
    get pid() {
      return child.pid
    },
    async run(input, { signal }) {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
      const onAbort = () => {
        reject(signal.reason)
        child.kill()
      }
      child.onFrame = (type, body) =>
        type === FRAME.results ? resolve(body) : reject(new ValueError(body.toString('utf8', 0, ERROR_BYTES)))
      void child.ended.then(() => reject(new SandboxUnavailableError('its process has ended')))
      signal.addEventListener('abort', onAbort)
      try {
        if (signal.aborted) onAbort()
        else child.send(frame(FRAME.run, input))
        return await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
    kill: () => child.kill()
  }
}

/** Runs in the child, by its source text (self-contained): reads an input, answers it, until there is none. */
async function nativeMain(
  require: (name: string) => unknown,
  frames: typeof FRAME,
  framesFd: number,
  work: (require: (name: string) => unknown) => (input: Buffer) => Promise<Uint8Array>,
  errorChars: number
) {
  const fs = require('node:fs') as typeof import('node:fs')
  const answer = work(require)

  function read(bytes: number): Buffer | undefined {
    const target = Buffer.alloc(bytes)
    for (let at = 0; at < bytes; ) {
      const got = fs.readSync(0, target, at, bytes - at, null)
      if (got === 0) return undefined
      at += got
    }
    return target
  }
  function send(type: number, body: Uint8Array) {
    const head = Buffer.alloc(8)
    head.writeUInt32LE(type, 0)
    head.writeUInt32LE(body.length, 4)
    for (const bytes of [head, body])
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(framesFd, bytes, at, bytes.length - at)
  }

  send(frames.ready, Buffer.alloc(0))
  for (let head = read(8); head !== undefined; head = read(8)) {
    const input = read(head.readUInt32LE(4))
    if (input === undefined) break
    try {
      send(frames.results, await answer(input))
    } catch (error) {
      send(frames.refused, Buffer.from(String((error as Error).message).slice(0, errorChars)))
    }
  }
  process.exit()
}
