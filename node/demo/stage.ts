import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type ControlClient, connectControl } from '../control.ts'

const CLI = fileURLToPath(new URL('../cli/artel.js', import.meta.url))
const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 5000
const WAIT_TIMEOUT_MS = 120_000
const POLL_MS = 100

/** A node of a demo: a process of its own with a data folder of its own. */
export interface DemoNode {
  name: string
  folder: string
  process: ChildProcess
  id: string
  address: string
  control: ControlClient
}

/** Where a demo plays: a temporary folder and the processes on it, all of which end with it. */
export interface Stage extends AsyncDisposable {
  folder: string
  /** those that run, by name */
  nodes: ReadonlyMap<string, DemoNode>
  /** a line for who watches, on standard error */
  say(text: string): void
  /** Starts `artel COMMAND` and waits until it says that it is ready. A name that ran before goes on with its disk. */
  start(name: string, command: string[]): Promise<DemoNode>
  /** Ends a node as a power cut does. */
  kill(name: string): Promise<void>
  /** Ends all nodes as Ctrl-C does; true when all were gone in time by themselves. */
  end(): Promise<boolean>
  /** Nobody needs the folder any more. */
  succeeded(): void
}

export async function openStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'artel-demo-'))
  const nodes = new Map<string, DemoNode>()
  const started: ChildProcess[] = []
  let keep = true
  const say = (text: string): void => void process.stderr.write(`${text}\n`)
  return {
    folder,
    nodes,
    say,
    async start(name, command) {
      const node = await startNode(name, folder, command, child => started.push(child))
      nodes.set(name, node)
      return node
    },
    async kill(name) {
      const { process: child, control } = nodes.get(name)!
      nodes.delete(name)
      control.close()
      await killProcess(child)
    },
    async end() {
      const ended = await Promise.all([...nodes.values()].map(stopNode))
      nodes.clear()
      return ended.every(Boolean) && started.every(isGone)
    },
    succeeded() {
      keep = false
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map(killProcess))
      if (keep) say(`The logs and data of the nodes are in ${folder}`)
      else await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Waits for a condition. Throws after half a minute, or `timeoutMs`. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  timeoutMs = WAIT_TIMEOUT_MS
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

async function startNode(
  name: string,
  root: string,
  command: string[],
  onSpawn: (child: ChildProcess) => void
): Promise<DemoNode> {
  const folder = join(root, name)
  const log = openSync(join(root, `${name}.log`), 'a')
  const args = [CLI, ...command, '--data', folder, '--json', '--log-format', 'json']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', log] })
  onSpawn(child)
  closeSync(log)
  try {
    const [line] = await once(createInterface({ input: child.stdout! }), 'line', {
      signal: AbortSignal.any([AbortSignal.timeout(READY_TIMEOUT_MS), endOf(child)])
    })
    const { id, addresses } = JSON.parse(line as string)
    return { name, folder, process: child, id, address: addresses[0], control: await connectControl(folder) }
  } catch (cause) {
    child.kill('SIGKILL')
    throw new Error(`${name} did not start; its log is ${join(root, `${name}.log`)}`, { cause })
  }
}

function endOf(child: ChildProcess): AbortSignal {
  const controller = new AbortController()
  child.once('exit', code => controller.abort(new Error(`it ended with exit code ${code}`)))
  return controller.signal
}

/** true when it was gone in time by itself */
async function stopNode({ process: child, control }: DemoNode): Promise<boolean> {
  control.close()
  if (isGone(child)) return true
  const exit = once(child, 'exit', { signal: AbortSignal.timeout(STOP_TIMEOUT_MS) })
  child.kill('SIGINT')
  const inTime = await exit.then(
    () => true,
    () => false
  )
  if (!inTime) await killProcess(child)
  return inTime
}

async function killProcess(child: ChildProcess): Promise<void> {
  if (isGone(child)) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

const isGone = (child: ChildProcess): boolean => child.exitCode != null || child.signalCode != null
