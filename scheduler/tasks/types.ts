/** Names of all kinds of tasks (registry.ts), for those who do not read the kinds themselves. */
export const TASK_TYPES = [
  'range_reduce',
  'map',
  'filter',
  'map_reduce',
  'sort',
  'enumerate',
  'matrix',
  'ml_inference',
  'ml_train_step',
  'wasm',
  'python',
  'script',
  'pipeline'
] as const
export type TaskType = (typeof TASK_TYPES)[number]
