import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Child, Start } from './child.ts'
import { FRAME } from './child-main.ts'
import { frame } from './frames.ts'
import { isolateScript } from './isolate-script.ts'
import { makePython } from './python.ts'
import { PYTHON_PRELUDE } from './python-prelude.ts'
import { pythonShell } from './python-shell.ts'
import { pythonValues } from './python-values.ts'
import { childPayload, type Payload, pythonFiles } from './walls.ts'

const START_MS = 120_000 // three seconds of a processor without a snapshot, on machines with other work
const SNAPSHOT_BYTES = 64 << 20

let version: string | undefined

/** Determinism class of Python's results: its build brings its own mathematics, so neither V8 nor processor shows. */
export function pythonClass(): string {
  version ??= JSON.parse(readFileSync(join(dirname(pythonFiles().loader), 'package.json'), 'utf8')).version
  return `pyodide-${version}`
}

/**
 * Starts children for Python. They all begin with the same memory, that of a child which is started for this alone:
 * what a program can see of addresses then is the same everywhere, and a start takes a fifth of the time.
 */
export function createPythonLauncher(
  flags: string[],
  launch: (payload: Payload, start: Start) => Promise<Child>
): () => Promise<Child> {
  const prelude = Buffer.from(
    isolateScript('', ...[makePython, pythonShell, pythonValues].map(String), JSON.stringify(PYTHON_PRELUDE))
  )
  const size = Buffer.alloc(4)
  size.writeUInt32LE(prelude.length)
  const payload = childPayload(flags, pythonFiles())
  let snapshot: Promise<Buffer> | undefined

  const begin = (onReady: (body: Buffer) => void, ...from: Buffer[]) =>
    launch(payload, {
      parts: frame(FRAME.start, size, prelude, ...from),
      ms: START_MS,
      maxBytes: SNAPSHOT_BYTES,
      onReady
    })

  async function takeSnapshot(): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const first = begin(resolve)
    first.then(child => child.kill(), reject)
    return promise
  }

  return async () => {
    snapshot ??= takeSnapshot()
    let from: Buffer
    try {
      from = await snapshot
    } catch (error) {
      snapshot = undefined // perhaps the machine was too busy
      throw error
    }
    return begin(() => {}, from)
  }
}
