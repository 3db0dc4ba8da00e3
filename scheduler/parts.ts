import { hash } from 'node:crypto'
import { decodeValue, encodeValue, type Failure, type Program } from '../sandbox/index.ts'
import { type Plan, plan, type Reducer, type RunHere } from './plan.ts'
import { type TaskSpec, timeoutOf } from './spec.ts'
import { listReducer } from './tasks/map.ts'
import { encodeArray } from './tasks/shared.ts'
import type { LoadMessage } from './wire.ts'

// What a process may use when the spec does not say.
const DEFAULT_MEMORY_MB = 256
// A message with slices stays near this size, so that results and heartbeats are not stuck behind it.
const MESSAGE_BYTES = 4 * 1024 * 1024
// Tasks of a batch in one slice: more would only make the tail longer.
const MAX_TASKS_PER_SLICE = 4096

/** Units that run with one program: a whole task, or the tasks of a batch that share their code. */
export interface Part {
  units: number
  mostUnits: number
  /** what measured speeds belong to: the same code with units of the same kind */
  rateKey: string
  load: LoadMessage
  /** encoded inputs of the units [first, first + count): one, or one per task of a batch */
  inputs(first: number, count: number): Uint8Array[]
  /** The outcomes of one slice as bytes that the reducer takes, or why they are none. */
  pack(outcomes: (Uint8Array | Failure)[], count: number): Uint8Array | Failure
  reducer: Reducer
  /** its part of the job's bound: the first of the second; those of all parts together are never more than one */
  share: [part: number, of: number]
}

/** A part has the same number in every run of its job: what was accepted of it before a restart belongs to it. */
export type NumberedPart = [index: number, part: Part]

/** Gives what runs an input of the part's program in this node's own sandbox. */
export type RunPart = (part: Part) => RunHere

/** A job as parts, which may depend on each other, and how their results make one. */
export interface Work {
  /** units of all parts; a part that cannot be planned yet counts as one */
  readonly total: number
  /** the parts that depend on nothing */
  start(): NumberedPart[]
  /** Part `index` is complete: the parts that waited for it. Nothing but results decides which. */
  next?(index: number, run: RunPart): Promise<NumberedPart[]>
  /** the failure of a part as the owner of the job should read it */
  explain?(index: number, failure: Failure): Failure
  finish(run: RunPart): Promise<Uint8Array>
}

const malformed: Failure = {
  name: 'invalid-result',
  message: 'the answer does not have one outcome per input'
}

/** One task: its units are cut as its plan says. */
export function taskWork(spec: TaskSpec, specBytes: number): Work {
  const { units, program, input, createReducer } = plan(spec)
  const load = loadMessage(program, spec)
  const part: Part = {
    units,
    rateKey: load.program,
    mostUnits: mostUnits(specBytes, units),
    load,
    inputs: (first, count) => [encodeValue(input(first, count))],
    pack: ([outcome], _count) => outcome ?? malformed,
    reducer: createReducer(),
    share: [1, 1]
  }
  return { total: units, start: () => [[0, part]], finish: run => part.reducer.finish(run(part)) }
}

/** A batch: each task is one unit, computed whole; tasks that share their program share a part. */
export function batchWork(specs: TaskSpec[], specBytes: number): Work {
  const groups = new Map<string, { load: LoadMessage; tasks: { index: number; whole: Plan['whole'] }[] }>()
  specs.forEach((spec, index) => {
    const { program, whole } = plan(spec)
    const load = loadMessage(program, spec)
    const group = groups.get(load.program) ?? { load, tasks: [] }
    group.tasks.push({ index, whole })
    groups.set(load.program, group)
  })
  const all = [...groups.values()]
  const parts = all.map(({ load, tasks }): Part => {
    return {
      units: tasks.length,
      rateKey: `${load.program} whole`,
      mostUnits: Math.min(MAX_TASKS_PER_SLICE, mostUnits(specBytes, specs.length)),
      load,
      inputs: (first, count) => tasks.slice(first, first + count).map(task => encodeValue(task.whole)),
      pack: packBatch,
      reducer: listReducer(tasks.length),
      share: [tasks.length, specs.length]
    }
  })
  return {
    total: specs.length,
    start: () => [...parts.entries()],
    async finish(run) {
      const lists = await Promise.all(parts.map(part => part.reducer.finish(run(part))))
      if (lists.length === 1) return lists[0]!
      // several programs: back into the order of submission
      const results = new Array(specs.length)
      lists.forEach((list, part) => {
        const values = decodeValue(list) as unknown[]
        values.forEach((value, i) => {
          results[all[part]!.tasks[i]!.index] = value
        })
      })
      return encodeValue(results)
    }
  }
}

// The canonical bytes of { ok: true, value } before its value: that of 0 is one byte.
const OK_HEAD = encodeValue({ ok: true, value: 0 }).slice(0, -1)

function packBatch(outcomes: (Uint8Array | Failure)[], count: number): Uint8Array | Failure {
  if (outcomes.length !== count) return malformed
  const [first] = outcomes
  if (first != null && 'name' in first && (first.name === 'aborted' || first.name === 'wall-missing'))
    return first
  return encodeArray(
    count,
    outcomes.flatMap(outcome =>
      outcome instanceof Uint8Array ? [OK_HEAD, outcome] : [encodeValue({ ok: false, failure: outcome })]
    )
  )
}

function mostUnits(specBytes: number, units: number): number {
  return Math.max(1, Math.floor(MESSAGE_BYTES / Math.max(1, specBytes / Math.max(1, units))))
}

// Tasks of a batch mostly share their program: its id is calculated once per text.
const MAX_KEPT = 1000
const kept = new Map<string, LoadMessage>()

function loadMessage(program: Program, spec: TaskSpec): LoadMessage {
  const timeoutMs = timeoutOf(spec)
  const memoryMb = spec.requirements.ramMb ?? DEFAULT_MEMORY_MB
  const { kind, source, functions, driver, context } = program
  const key =
    context == null
      ? JSON.stringify([kind, source, functions, driver?.length, spec.type, timeoutMs, memoryMb])
      : undefined
  const before = key && kept.get(key)
  if (before) return before
  const body = { kind, source, export: program.export, functions, driver, context, timeoutMs, memoryMb }
  const id = hash('sha256', encodeValue(body), 'base64url')
  const load: LoadMessage = { t: 'load', program: id, seed: id, ...body }
  if (key != null) {
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string)
    kept.set(key, load)
  }
  return load
}
