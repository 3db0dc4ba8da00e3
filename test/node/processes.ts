import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { until } from '../bootstrap/nodes.ts'

const ARTEL = fileURLToPath(new URL('../../node/cli/artel.js', import.meta.url))
const DEADLINE_MS = 240_000

export interface Ready {
  id: string
  network: string
  addresses: string[]
  walled: boolean
  pid: number
}

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

export interface Spawned {
  process: ChildProcess
  /** what it has said so far */
  stdout(): string
  stderr(): string
  /** sends the signal and waits for the end */
  end(signal?: NodeJS.Signals): Promise<Finished>
}

export interface Daemon extends Spawned {
  ready: Promise<Ready>
}

/** `inside`: a command that runs the rest of its arguments somewhere else */
interface Where {
  env?: Record<string, string>
  inside?: string[]
}

/** Runs `artel` as real processes with a folder of their own; `stop` ends all that still run. */
export class Processes {
  readonly folder: string
  /** with the promise that resolves when it has ended and all that it said has come */
  readonly #running = new Map<ChildProcess, Promise<void>>()

  constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<Processes> {
    return new Processes(await mkdtemp(join(tmpdir(), 'artel-cli-')))
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Runs a command to its end. */
  async run(args: string[], { input = '', ...where }: { input?: string } & Where = {}): Promise<Finished> {
    const child = this.#spawn(args, where)
    child.stdin!.end(input)
    const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
    const closed = this.#running.get(child)
    const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), closed])
    clearTimeout(deadline)
    return { code: child.exitCode, stdout, stderr }
  }

  /** Starts a command that does not end by itself. */
  spawn(args: string[], { input = false, ...where }: { input?: boolean } & Where = {}): Spawned {
    const child = this.#spawn(args, where)
    const closed = this.#running.get(child)
    // `input`: the test writes to it
    if (!input) child.stdin!.end()
    let stdout = ''
    let stderr = ''
    child.stdout!.on('data', chunk => {
      stdout += chunk
    })
    child.stderr!.on('data', chunk => {
      stderr += chunk
    })
    return {
      process: child,
      stdout: () => stdout,
      stderr: () => stderr,
      async end(signal = 'SIGINT') {
        child.kill(signal)
        await closed
        return { code: child.exitCode, stdout, stderr }
      }
    }
  }

  /** Starts a node; `ready` is its first line. */
  start(command: 'seed' | 'start', name: string, args: string[] = [], where?: Where): Daemon {
    const listen =
      command === 'seed' && !args.includes('--listen') ? ['--listen', '/ip4/127.0.0.1/tcp/0'] : []
    const spawned = this.spawn([command, '--json', '--data', this.path(name), ...listen, ...args], where)
    const { process: child, stdout, stderr } = spawned
    const ready = (async () => {
      await until(
        () => stdout().includes('\n') || !this.#running.has(child),
        `${command} ${name} is ready`,
        DEADLINE_MS
      )
      if (!stdout().includes('\n'))
        throw new Error(`${command} ${name} ended with ${child.exitCode ?? child.signalCode}: ${stderr()}`)
      return JSON.parse(stdout().split('\n')[0]!) as Ready
    })()
    // whoever waits for it sees the error
    ready.catch(() => {})
    return { ...spawned, ready }
  }

  async stop(): Promise<void> {
    for (const child of this.#running.keys()) child.kill('SIGKILL')
    await Promise.all(this.#running.values())
    await rm(this.folder, { recursive: true, force: true })
  }

  #spawn(args: string[], { env = {}, inside = [] }: Where = {}): ChildProcess {
    const [file, ...rest] = [...inside, process.execPath, ARTEL, ...args]
    const { PATH, NODE_COMPILE_CACHE } = process.env
    const child = spawn(file!, rest, {
      cwd: this.folder,
      env: {
        PATH,
        HOME: this.folder,
        ...(NODE_COMPILE_CACHE == null ? {} : { NODE_COMPILE_CACHE }),
        // few tests want it, and all of them at once would quarrel about its port
        ARTEL_GATEWAY_ENABLED: 'false',
        ...env
      }
    })
    const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
    this.#running.set(child, closed)
    void closed.then(() => this.#running.delete(child))
    return child
  }
}

/** Every descendant of a process, from /proc. */
export async function descendants(pid: number): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const status = await readFile(`/proc/${entry}/stat`, 'utf8')
      // the name in brackets may contain anything
      parents.set(Number(entry), Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // it ended while we looked
    }
  }
  const found = [pid]
  for (const parent of found) for (const [child, its] of parents) if (its === parent) found.push(child)
  return found.slice(1)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
