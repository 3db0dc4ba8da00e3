import type { Program } from '../../sandbox/index.ts'
import { planFilter } from './kinds/filter.ts'
import { planMap } from './kinds/map.ts'
import { planMapReduce } from './kinds/map-reduce.ts'
import { planMatrix } from './kinds/matrix.ts'
import { planInference } from './kinds/ml-inference.ts'
import { planRangeReduce } from './kinds/range-reduce.ts'
import { planScript } from './kinds/script.ts'
import { planWasm } from './kinds/wasm.ts'
import type { PipelineSpec, TaskSpec, TrainSpec } from './parse-spec.ts'

/** Runs one input of the plan's own program in this node's sandbox, for steps that need the author's code here; canonical bytes out. */
export type RunHere = (input: unknown) => Promise<Uint8Array>

/** Combines the results of slices, in whatever order they come, into one result that does not depend on the order. */
export interface Reducer {
  /**
   * Takes the output of units [first, first + count), which `workers` gave. Throws when it is not of the expected form:
   * a wrong result.
   */
  add(first: number, count: number, value: Uint8Array, workers?: string[]): void
  /** canonical bytes of the result, once every unit was added */
  finish(run: RunHere): Promise<Uint8Array>
}

/**
 * A task as work that can be cut: `units` equal-ranked pieces numbered from 0; any interval of them is a slice.
 * Nothing is materialised before it is leased, so a range of 10^12 items costs no memory.
 */
export interface Plan {
  units: number
  program: Program
  /** the program's input for units [first, first + count) */
  input(first: number, count: number): unknown
  createReducer(): Reducer
  /** Of the answer to a slice, what the answer to its units [first, first + count) alone would be; absent where units are folded. */
  cut?(answer: Uint8Array, first: number, count: number): Uint8Array
  /** Programs of the same name here are taken to be equally fast; default: only the very same program. */
  speed?: string
  /** bytes that one unit takes in a message, where that is not the spec's size divided by the units */
  unitBytes?: number
  /** calculates the result in the coordinator, where that is cheaper than to send the inputs */
  here?: () => Uint8Array
  /** the input whose output is the result itself: the whole task at once, as one of a batch */
  whole: unknown
}

/** Tasks whose work is known from the spec alone. The others make parts as results come (see parts.ts). */
export type PlannedSpec = Exclude<TaskSpec, TrainSpec | PipelineSpec>

export function isPlanned(spec: TaskSpec): spec is PlannedSpec {
  return spec.type !== 'ml_train_step' && spec.type !== 'pipeline'
}

/** spec → plan. Pure. */
export function plan(spec: PlannedSpec): Plan {
  switch (spec.type) {
    case 'range_reduce':
      return planRangeReduce(spec)
    case 'map':
      return planMap(spec)
    case 'filter':
      return planFilter(spec)
    case 'map_reduce':
      return planMapReduce(spec)
    case 'matrix':
      return planMatrix(spec)
    case 'ml_inference':
      return planInference(spec)
    case 'wasm':
      return planWasm(spec)
    case 'script':
      return planScript(spec)
  }
}
