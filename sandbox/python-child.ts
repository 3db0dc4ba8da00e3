import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { PythonFiles } from './child-main.ts'
import { makePython } from './python.ts'
import { PYTHON_PRELUDE } from './python-prelude.ts'
import { pythonShell } from './python-shell.ts'
import { pythonValues } from './python-values.ts'
import type { RuntimeSource } from './runtime-child.ts'

let version: string | undefined

/** Determinism class of Python's results: its build brings its own mathematics, so neither V8 nor processor shows. */
export function pythonClass(): string {
  version ??= JSON.parse(readFileSync(join(dirname(pythonFiles().loader), 'package.json'), 'utf8')).version
  return `pyodide-${version}`
}

function pythonFiles(): PythonFiles {
  const folder = dirname(createRequire(import.meta.url).resolve('pyodide'))
  return {
    module: join(folder, 'pyodide.asm.mjs'),
    loader: join(folder, 'pyodide.mjs'),
    wasm: join(folder, 'pyodide.asm.wasm'),
    library: join(folder, 'python_stdlib.zip'),
    lock: join(folder, 'pyodide-lock.json')
  }
}

/**
 * Its children all begin with the same memory: what a program can see of addresses then is the same everywhere, and a start
 * takes a fifth of the time.
 */
export const pythonSource = (): RuntimeSource => ({
  runtime: { kind: 'python', files: pythonFiles() },
  make: `(makeCodec,realm)=>(${makePython})(makeCodec,${pythonShell},${pythonValues},${JSON.stringify(PYTHON_PRELUDE)},realm)`,
  hasSnapshot: true
})
