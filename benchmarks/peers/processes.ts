import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { end } from '../harness/process.ts'

const START_DEADLINE_MS = 20_000
const run = promisify(execFile)

/** What a program prints about its version, first match of a number. Throws when it is not installed. */
export async function versionOf(program: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(program, args)
  return /\d+(\.\d+)+/.exec(stdout + stderr)?.[0] ?? 'unknown'
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return address.port
}

/** Servers and workers of one peer with a folder of their own; all end, and the folder goes, together. */
export async function createStage() {
  const parts = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  parts.defer(() => rm(folder, { recursive: true, force: true }))
  const own = (child: ChildProcess): ChildProcess => {
    parts.defer(() => end(child))
    return child
  }
  return {
    folder,
    /** Starts a server and waits until its port answers. */
    async server(program: string, args: string[], port: number): Promise<ChildProcess> {
      const child = own(spawn(program, args, { cwd: folder, stdio: 'ignore' }))
      const deadline = Date.now() + START_DEADLINE_MS
      while (!(await answers(port))) {
        if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${program} did not start`)
        await delay(20)
      }
      return child
    },
    /** Starts one of our files as a worker and waits until it sends its first message. */
    async worker(file: string, ...args: string[]): Promise<ChildProcess> {
      const child = own(fork(file, args))
      await once(child, 'message', { signal: AbortSignal.timeout(START_DEADLINE_MS) })
      return child
    },
    defer: (stop: () => unknown): void => {
      parts.defer(async () => {
        await stop()
      })
    },
    own,
    stop: () => parts.disposeAsync()
  }
}

export type Stage = Awaited<ReturnType<typeof createStage>>

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
