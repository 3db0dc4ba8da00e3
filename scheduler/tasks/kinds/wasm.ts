import { z } from 'zod'
import type { Program } from '../../../sandbox/index.ts'
import { listPart } from '../../data/value-bytes.ts'
import { SpecError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import type { DriverTools } from '../drivers.ts'
import { bytes } from '../fields.ts'
import { defineKind, type SpecOf } from '../kind.ts'
import { listReducer, singleReducer } from '../reducers.ts'

const fields = {
  module: bytes,
  /** the function to call; without, the module is a WASI command */
  export: z.string().min(1).max(200).optional(),
  args: z.array(z.unknown()).optional(),
  items: z.array(z.unknown()).optional(),
  stdin: z.union([z.string(), z.instanceof(Uint8Array)]).optional()
}
type WasmSpec = SpecOf<'wasm', typeof fields>

/** Calls of a WebAssembly module. */
export const wasm = defineKind({
  type: 'wasm',
  fields,
  description:
    'Calls an export of a WebAssembly module, or runs a WASI command. In JSON the module goes by CID, or as base64.',
  limits: { timeoutMs: 60_000, items: 1e6 },
  pipelineField: 'items',
  example: {
    type: 'wasm',
    module: 'AGFzbQEAAAABBgFgAXwBfAMCAQAHCgEGc3F1YXJlAAAKCQEHACAAIACiCw==',
    export: 'square',
    items: [1, 2, 3]
  },
  check(spec, { limit }) {
    limit('items', spec.items?.length ?? 0)
    checkWasm(spec)
    return spec
  },
  plan: planWasm
})

function checkWasm(spec: WasmSpec): void {
  if (spec.items != null && (spec.args != null || spec.stdin != null))
    throw new SpecError('items', 'takes the place of `args` and `stdin`; give one of them')
  if (spec.export != null && spec.stdin != null)
    throw new SpecError('stdin', 'belongs to a WASI command, which has no `export`; give `args` or `items`')
  let module: WebAssembly.Module
  try {
    module = new WebAssembly.Module(spec.module as Uint8Array<ArrayBuffer>)
  } catch (err) {
    throw new SpecError('module', `is not valid WebAssembly: ${(err as Error).message}`)
  }
  const foreign = WebAssembly.Module.imports(module).find(
    each => spec.export != null || each.module !== 'wasi_snapshot_preview1'
  )
  if (foreign != null)
    throw new SpecError(
      'module',
      `imports ${foreign.module}.${foreign.name}, which does not exist here; ${spec.export == null ? 'only WASI preview 1 does' : 'leave out `export` for a WASI command'}`
    )
  const functions = WebAssembly.Module.exports(module).filter(each => each.kind === 'function')
  const name = spec.export ?? '_start'
  if (!functions.some(each => each.name === name))
    throw new SpecError(
      'export',
      `\`${name}\` is not a function of the module; it has ${functions.map(each => each.name).join(', ') || 'none'}`
    )
}

interface Input {
  first: number
  items: unknown[]
}

/** Runs inside the sandbox; self-contained. */
function driver(
  task: (input: unknown) => unknown,
  _functions: unknown,
  _context: unknown,
  { begin }: DriverTools
) {
  return ({ first, items }: Input): unknown =>
    items.map((item, i) => {
      begin(first + i)
      return task(item)
    })
}

const DRIVER = String(driver)

/**
 * With `items` a unit is one call: an item is the argument or the list of arguments of `export`, or the stdin of a
 * WASI command. Without, there is one call with `args` or `stdin`.
 */
function planWasm(spec: WasmSpec): Plan {
  const { module, items } = spec
  const program: Program =
    spec.export == null
      ? { kind: 'wasi', source: module }
      : { kind: 'wasm', source: module, export: spec.export }
  if (items != null)
    return {
      units: items.length,
      program: { ...program, driver: DRIVER },
      input: (first, count): Input => ({ first, items: items.slice(first, first + count) }),
      whole: { first: 0, items },
      cut: listPart,
      createReducer: () => listReducer(items.length)
    }
  const once = spec.export == null ? { stdin: spec.stdin ?? '', args: spec.args ?? [] } : (spec.args ?? [])
  return { units: 1, program, input: () => once, whole: once, createReducer: singleReducer }
}
