import type { Plan } from '../plan.ts'
import type { ScriptSpec } from '../spec.ts'
import { singleReducer } from './shared.ts'

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
