import type { Program } from '../../../sandbox/index.ts'
import { listPart } from '../../data/value-bytes.ts'
import type { Plan } from '../contract.ts'
import { singleReducer } from '../drivers.ts'
import type { WasmSpec } from '../schema.ts'
import { listReducer } from './map.ts'

/** Runs inside the sandbox; self-contained. */
function driver(task: (input: unknown) => unknown) {
  return (items: unknown[]): unknown => items.map(item => task(item))
}

const DRIVER = String(driver)

/**
 * With `items` a unit is one call: an item is the argument or the list of arguments of `export`, or the stdin of a
 * WASI command. Without, there is one call with `args` or `stdin`.
 */
export function planWasm(spec: WasmSpec): Plan {
  const { module, items } = spec
  const program: Program =
    spec.export == null
      ? { kind: 'wasi', source: module }
      : { kind: 'wasm', source: module, export: spec.export }
  if (items != null)
    return {
      units: items.length,
      program: { ...program, driver: DRIVER },
      input: (first, count) => items.slice(first, first + count),
      whole: items,
      cut: listPart,
      createReducer: () => listReducer(items.length)
    }
  const once = spec.export == null ? { stdin: spec.stdin ?? '', args: spec.args ?? [] } : (spec.args ?? [])
  return { units: 1, program, input: () => once, whole: once, createReducer: singleReducer }
}
