import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SandboxUnavailableError } from './errors.ts'
import { makeOnnx } from './onnx.ts'
import type { RuntimeSource } from './runtime-child.ts'

/** Where a published package has the two files that are needed, of 139 MB (bootstrap/pack.ts). */
const shipped = (): string => fileURLToPath(new URL('onnxruntime-web', import.meta.url))

let found: { folder: string; version: string } | undefined

function find(): { folder: string; version: string } | undefined {
  if (found !== undefined) return found
  try {
    const folder = existsSync(shipped())
      ? shipped()
      : join(dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm')), '..')
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    found = { folder: join(folder, 'dist'), version }
    return found
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    return undefined // a checkout without its devDependencies
  }
}

/** Determinism class of what models give; undefined where onnxruntime-web is not installed. */
export function onnxClass(): string | undefined {
  const version = find()?.version
  return version && `onnxruntime-web-${version}`
}

/** Throws SandboxUnavailableError. */
export function onnxSource(): RuntimeSource {
  const { folder } = find() ?? {}
  if (folder === undefined) throw new SandboxUnavailableError('onnxruntime-web is not installed')
  const file = (end: string) => join(folder, `ort-wasm-simd-threaded.${end}`)
  return {
    runtime: { kind: 'onnx', files: { module: file('mjs'), wasm: file('wasm') } },
    make: `${makeOnnx}`,
    hasSnapshot: false
  }
}
