import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ClientInit } from './client.ts'

const CLI = fileURLToPath(new URL('../../node/cli/artel.js', import.meta.url))
// what artel.js itself begins with
const LIBRARIES = import.meta.resolve('../../node/vendor/hook.js')
const CLIENT = fileURLToPath(new URL('./client.ts', import.meta.url))
const EVIL_WORKER = fileURLToPath(new URL('./evil-worker.ts', import.meta.url))
const DEADLINE_MS = 240_000

/** Waits until `condition` gives something; the deadline only ends a test that has failed anyway. */
export async function until<T>(
  what: string | (() => string),
  condition: () => T | Promise<T>,
  deadlineMs = DEADLINE_MS
): Promise<NonNullable<T>> {
  const begun = Date.now()
  for (;;) {
    const value = await condition()
    if (value) return value
    const waited = Date.now() - begun
    if (waited > deadlineMs)
      throw new Error(`not within ${deadlineMs} ms: ${typeof what === 'string' ? what : what()}`)
    // who waits long looks seldom: a look may cost several processes their time
    await delay(Math.min(25 + waited / 20, 250))
  }
}

/** A process as the kernel knows it: a pid may be used again, together with its start time it is not. */
export interface KnownProcess {
  pid: number
  startTime: string
  command: string
}

async function statOf(
  pid: number
): Promise<{ parent: number; state: string; process: KnownProcess } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    const close = stat.lastIndexOf(')')
    const fields = stat.slice(close + 2).split(' ')
    const command = stat.slice(stat.indexOf('(') + 1, close)
    return {
      parent: Number(fields[1]),
      state: fields[0] as string,
      process: { pid, startTime: fields[19] as string, command }
    }
  } catch {
    return undefined // it ended between the two reads
  }
}

/** All living processes below `pid`. */
export async function descendants(pid: number): Promise<KnownProcess[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const all = (await Promise.all(pids.map(statOf))).filter(each => each != null)
  const below = new Set([pid])
  for (let size = 0; size !== below.size; ) {
    size = below.size
    for (const { parent, process: each } of all) if (below.has(parent)) below.add(each.pid)
  }
  return all.map(each => each.process).filter(each => each.pid !== pid && below.has(each.pid))
}

/** Those of `known` that still live (a zombie does not). */
export async function living(known: KnownProcess[]): Promise<KnownProcess[]> {
  const now = await Promise.all(known.map(({ pid }) => statOf(pid)))
  return known.filter((each, i) => now[i]?.process.startTime === each.startTime && now[i]?.state !== 'Z')
}

/** A process of ours that prints one JSON object per line. */
export class Program {
  readonly child: ChildProcess
  readonly events: Record<string, unknown>[] = []
  stderr = ''
  /** it has ended, and all that it said has come */
  #isClosed = false

  /** `inside`: a command that runs the rest of its line, such as nsenter */
  constructor(file: string, args: string[], inside: string[] = []) {
    const node = [process.execPath, '--no-node-snapshot', '--import', LIBRARIES]
    const [command, ...line] = [...inside, ...node, file, ...args]
    this.child = spawn(command as string, line, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ARTEL_LOG_LEVEL: 'warn',
        ARTEL_LOG_FORMAT: 'json',
        ARTEL_GATEWAY_ENABLED: 'false'
      }
    })
    createInterface({ input: this.child.stdout! }).on('line', line => {
      try {
        this.events.push(JSON.parse(line))
      } catch {
        this.events.push({ event: 'text', line })
      }
    })
    this.child.stderr!.on('data', data => {
      this.stderr = (this.stderr + data).slice(-20_000)
    })
    this.child.once('close', () => {
      this.#isClosed = true
    })
  }

  get pid(): number {
    return this.child.pid!
  }

  get hasEnded(): boolean {
    return this.child.exitCode != null || this.child.signalCode != null
  }

  /** Waits for a line that `match` accepts. */
  async event<T = Record<string, never>>(
    what: string,
    match: (event: Record<string, unknown>) => boolean,
    deadlineMs?: number
  ): Promise<T> {
    return until(
      () => `${what}; standard error: ${this.stderr}`,
      () => {
        const found = this.events.find(event => match(event))
        if (found == null && this.#isClosed)
          throw new Error(
            `the process ended (${this.child.exitCode ?? this.child.signalCode}) before ${what}: ${this.stderr}`
          )
        return found as T
      },
      deadlineMs
    ) as Promise<T>
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** Does that while the process is stopped, as a client stops itself at its pauses, and lets it go on. */
  async whilePaused(meanwhile: () => unknown): Promise<void> {
    await until(
      () => `a pause; standard error: ${this.stderr}`,
      async () => {
        if (this.hasEnded) throw new Error(`the process ended before its pause: ${this.stderr}`)
        return (await statOf(this.pid))?.state === 'T'
      }
    )
    await meanwhile()
    this.signal('SIGCONT')
  }

  /** Waits until it has ended and said all: its exit code or signal. */
  async ended(): Promise<number | string> {
    if (!this.#isClosed) await once(this.child, 'close', { signal: AbortSignal.timeout(DEADLINE_MS) })
    return this.child.exitCode ?? (this.child.signalCode as string)
  }

  async kill(): Promise<void> {
    if (this.hasEnded) return
    const exited = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exited
  }
}

export interface Ready {
  id: string
  addresses: string[]
  pid: number
}

export interface Started {
  program: Program
  ready: Ready
  data: string
}

interface StartOptions {
  args?: string[]
  /** see Program */
  inside?: string[]
  /** where the data folder is seen from outside */
  seenAs?: string
}

/** A network of processes on loopback with a folder for each; `stop` ends and removes everything. */
export class Processes {
  readonly #programs = new Map<Program, string>()
  readonly #folders: string[] = []
  /** data folders of nodes, each of which is an account */
  readonly #nodes = new Set<string>()
  /** those without flags of their own, by data folder */
  readonly #plain = new Map<string, Started>()
  readonly #clients = new Set<Program>()
  seedAddress = ''

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'artel-int-'))
    this.#folders.push(folder)
    return folder
  }

  #start(file: string, folder: string, args: string[], { inside, seenAs }: StartOptions = {}): Program {
    const program = new Program(file, args, inside)
    this.#programs.set(program, seenAs ?? folder)
    return program
  }

  async #ready(program: Program, data: string): Promise<Started> {
    this.#nodes.add(data)
    const ready = await program.event<Ready>('ready', event => event.event === 'ready')
    return { program, ready, data }
  }

  /** How many accounts its nodes have, those included that have ended. */
  get accounts(): number {
    return this.#nodes.size
  }

  /** Folders of the nodes that run and answer. */
  running(): string[] {
    return [...this.#programs].flatMap(([program, folder]) =>
      program.hasEnded || folder === '' ? [] : [folder]
    )
  }

  async seed(data?: string): Promise<Started> {
    const folder = data ?? (await this.folder())
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
    const args = ['seed', '--json', '--data', folder, ...listen, '--compute', 'false']
    const started = await this.#ready(this.#start(CLI, folder, args), folder)
    this.seedAddress = started.ready.addresses[0] as string
    return started
  }

  async worker(data?: string, { args = [], ...options }: StartOptions = {}): Promise<Started> {
    const folder = data ?? (await this.folder())
    const all = ['start', '--json', '--data', folder, '--seed', this.seedAddress, '--slots', '1', ...args]
    const started = await this.#ready(this.#start(CLI, folder, all, options), folder)
    if (args.length === 0) this.#plain.set(folder, started)
    return started
  }

  /** That many workers without flags of their own: those that run, and new ones; what runs beyond that is ended. */
  async workers(count: number): Promise<Started[]> {
    const running = [...this.#plain.values()].filter(({ program }) => !program.hasEnded)
    await Promise.all(running.splice(count).map(({ program }) => program.kill()))
    const missing = Array.from({ length: count - running.length }, () => this.worker())
    return [...running, ...(await Promise.all(missing))]
  }

  /** It lies in the first of these ways, and in the next at each SIGUSR2. */
  async evilWorker(...modes: string[]): Promise<Started> {
    const folder = await this.folder()
    return this.#ready(this.program(EVIL_WORKER, [folder, this.seedAddress, modes.join()]), folder)
  }

  /** `what`: a spec to submit, or the id of a job to go on with. */
  client(
    data: string,
    what: object | string,
    { init = {}, ...options }: Omit<StartOptions, 'args'> & { init?: ClientInit } = {}
  ): Program {
    const args = [data, this.seedAddress, JSON.stringify(what), JSON.stringify(init)]
    const client = this.#start(CLIENT, data, args, options)
    this.#nodes.add(data)
    this.#clients.add(client)
    return client
  }

  /** Leaves the next test the nodes that serve every test. */
  async endClients(): Promise<void> {
    await Promise.all([...this.#clients].map(client => client.kill()))
    this.#clients.clear()
  }

  /** Any other program of the tests. */
  program(file: string, args: string[], inside?: string[]): Program {
    return this.#start(file, '', args, { inside })
  }

  run(args: string[]): Program {
    return this.#start(CLI, '', ['run', ...args, '--json', '--seed', this.seedAddress])
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#programs.keys()].map(program => program.kill()))
    await Promise.all(this.#folders.map(folder => rm(folder, { recursive: true, force: true })))
  }
}
