import type { Plan } from './contract.ts'
import { planFilter } from './kinds/filter.ts'
import { planMap } from './kinds/map.ts'
import { planMapReduce } from './kinds/map-reduce.ts'
import { planMatrix } from './kinds/matrix.ts'
import { planInference } from './kinds/ml-inference.ts'
import { planRangeReduce } from './kinds/range-reduce.ts'
import { planScript } from './kinds/script.ts'
import { planWasm } from './kinds/wasm.ts'
import type { PipelineSpec, TaskSpec, TrainSpec } from './schema.ts'

/** Tasks whose work is known from the spec alone. The others make parts as results come (see job-parts.ts). */
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
