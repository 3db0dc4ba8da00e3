import type { Plan } from './contract.ts'
import type { AnyKind, AnySpec } from './kind.ts'
import { enumerate } from './kinds/enumerate.ts'
import { filter } from './kinds/filter.ts'
import { map } from './kinds/map.ts'
import { mapReduce } from './kinds/map-reduce.ts'
import { matrix } from './kinds/matrix.ts'
import { mlInference } from './kinds/ml-inference.ts'
import { mlTrainStep } from './kinds/ml-train-step.ts'
import { pipeline } from './kinds/pipeline.ts'
import { python } from './kinds/python.ts'
import { rangeReduce } from './kinds/range-reduce.ts'
import { script } from './kinds/script.ts'
import { sort } from './kinds/sort.ts'
import { wasm } from './kinds/wasm.ts'
import { TASK_TYPES, type TaskType } from './types.ts'

export { TASK_TYPES, type TaskType } from './types.ts'

/** Every task type: a newcomer is a file, a line here and its name in types.ts. */
export const TASK_KINDS = [
  rangeReduce,
  map,
  filter,
  mapReduce,
  sort,
  enumerate,
  matrix,
  mlInference,
  mlTrainStep,
  wasm,
  python,
  script,
  pipeline
] as const satisfies readonly { type: TaskType }[]

type Kind = (typeof TASK_KINDS)[number]
type SpecOfKind<K> = K extends { check(...args: never[]): infer Spec } ? Spec : never

const byType = new Map<unknown, AnyKind>(TASK_KINDS.map(kind => [kind.type, kind]))

/** undefined for what is no type */
export const kindOf = (type: unknown): AnyKind | undefined => byType.get(type)

/** A checked task: every author's function parsed, every number in range. Everything further in trusts it. */
export type TaskSpec = SpecOfKind<Kind>

/** true where its units are known from the spec alone; the others make parts as results come */
export const isPlanned = ({ type }: Pick<TaskSpec, 'type'>): boolean => kindOf(type)!.plan != null

/** The plan of a task that is planned. */
export const plan = (spec: AnySpec): Plan => kindOf(spec.type)!.plan!(spec as never)

/** true for types whose slices take items from where they were made; others take them as a list */
export const takesDatasets = (type: unknown): boolean => {
  const kind = kindOf(type)
  return kind != null && (kind.streams === true || 'keep' in kind.fields)
}

/** Types whose items by CID go from the block store to the workers. */
export const STREAMED: readonly string[] = TASK_TYPES.filter(type => kindOf(type)!.streams)
