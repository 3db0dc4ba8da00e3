import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type ControlClient, connectControl } from '../control.ts'

const CLI = fileURLToPath(new URL('../cli/artel.js', import.meta.url))
const READY_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5000

/** A node of the demo: a process of its own with a data folder of its own. */
export interface DemoNode {
  name: string
  folder: string
  process: ChildProcess
  id: string
  address: string
  control: ControlClient
}

/** Starts `artel COMMAND` and waits until it says that it is ready. */
export async function startNode(name: string, root: string, command: string[]): Promise<DemoNode> {
  const folder = join(root, name)
  const log = openSync(join(root, `${name}.log`), 'a')
  const args = [CLI, ...command, '--data', folder, '--json', '--log-format', 'json']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', log] })
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

/** Ends a node as Ctrl-C does; true when it was gone in time by itself. */
export async function stopNode({ process: child, control }: DemoNode): Promise<boolean> {
  control.close()
  if (isGone(child)) return true
  const exit = once(child, 'exit', { signal: AbortSignal.timeout(STOP_TIMEOUT_MS) })
  child.kill('SIGINT')
  const inTime = await exit.then(
    () => true,
    () => false
  )
  if (!inTime) child.kill('SIGKILL')
  return inTime
}

/** Ends a node as a power cut does. */
export async function killNode({ process: child, control }: DemoNode): Promise<void> {
  control.close()
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

export const isGone = (child: ChildProcess): boolean => child.exitCode != null || child.signalCode != null
