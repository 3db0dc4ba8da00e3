import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Start } from './child.ts'
import { FRAME } from './child-main.ts'
import { frame } from './frames.ts'
import { isolateScript } from './isolate-script.ts'
import { makePython } from './python.ts'
import { PYTHON_PRELUDE } from './python-prelude.ts'
import { childPayload, type Payload, pythonFiles } from './walls.ts'

const START_MS = 120_000 // three seconds of a processor without a snapshot, on machines with other work
const SNAPSHOT_BYTES = 64 << 20

let version: string | undefined

/** Determinism class of Python's results: its build brings its own mathematics, so neither V8 nor processor shows. */
export function pythonClass(): string {
  version ??= JSON.parse(readFileSync(join(dirname(pythonFiles().loader), 'package.json'), 'utf8')).version
  return `pyodide-${version}`
}

/** How children for Python are started: the first one gives the snapshot that later ones start from. */
export function createPythonStarts(flags: string[]): { payload: Payload; start(): Start } {
  const prelude = Buffer.from(isolateScript('', makePython.toString(), JSON.stringify(PYTHON_PRELUDE)))
  const size = Buffer.alloc(4)
  size.writeUInt32LE(prelude.length)
  let snapshot: Buffer | undefined
  return {
    payload: childPayload(flags, pythonFiles()),
    start: () => ({
      parts: frame(FRAME.start, size, prelude, ...(snapshot === undefined ? [] : [snapshot])),
      ms: START_MS,
      maxBytes: SNAPSHOT_BYTES,
      onReady: body => {
        if (body.length > 0) snapshot = body
      }
    })
  }
}
