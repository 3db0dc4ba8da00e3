import type { Plan } from '../contract.ts'
import { singleReducer } from '../drivers.ts'
import type { ScriptSpec } from '../schema.ts'

/** One run of a module: one unit. */
export function planScript(spec: ScriptSpec): Plan {
  return {
    units: 1,
    program: { kind: 'module', source: spec.source },
    input: () => spec.input,
    whole: spec.input,
    createReducer: singleReducer
  }
}
