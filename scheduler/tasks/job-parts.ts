import { createHash, hash } from 'node:crypto'
import { decodeValue, encodeValue, type Failure, type Program } from '../../sandbox/index.ts'
import { encodeInput } from '../data/pieced-input.ts'
import { encodeArray, encodeInPieces, isLarge } from '../data/value-bytes.ts'
import type { LoadMessage } from '../protocol/compute-messages.ts'
import { MESSAGE_BYTES } from '../protocol/limits.ts'
import type { Outcomes } from '../trust/answer-digest.ts'
import type { Part, Work } from './contract.ts'
import { malformed, type Plan } from './contract.ts'
import { sourceOf } from './dataset-source.ts'
import { keepOf } from './fields.ts'
import { keptPart } from './kept-part.ts'
import type { AnySpec } from './kind.ts'
import { DEFAULT_MEMORY_MB, parseSpec, timeoutOf } from './parse-spec.ts'
import { listReducer } from './reducers.ts'
import { kindOf, plan } from './registry.ts'

// Tasks of a batch in one slice: more would only make the tail longer.
const MAX_TASKS_PER_SLICE = 4096

/** One task of any type. `specBytes`: the encoded size of the spec. */
export function createWork(spec: AnySpec, specBytes: number): Work {
  const kind = kindOf(spec.type)!
  const work = kind.work?.(spec as never, {
    specBytes,
    parse: parseSpec,
    workOf: createWork,
    loadOf: program => loadMessage(program, spec),
    partOf: plan => partOf(plan, spec, specBytes)
  })
  return work ?? planWork(plan(spec), spec, specBytes)
}

/** One task that can be planned at once: its units are cut as its plan says. */
function planWork(planned: Plan, spec: AnySpec, specBytes: number): Work {
  const { here } = planned
  if (here != null) return { total: 0, next: async () => [], finish: async () => here() }
  const plain = partOf(planned, spec, specBytes)
  const keep = keepOf(spec)
  const part = keep && planned.keeps ? keptPart(plain, keep, planned.keeps.results) : plain
  return {
    total: part.units,
    next: async completed => (completed == null ? [[0, part]] : []),
    finish: run => part.reducer.finish(run(part)),
    lists() {
      const lists = part.reducer.lists?.()
      return lists && { part: 0, lists }
    }
  }
}

function partOf(planned: Plan, spec: AnySpec, specBytes: number): Part {
  const { units, program, input, createReducer, cut, speed } = planned
  const { items } = spec as { items?: unknown }
  const load = loadMessage(program, spec)
  const onceBytes = onceOf(load)
  const { unitBytes = Math.max(0, specBytes - onceBytes) / units } = planned
  return {
    units,
    rateKey: speed ?? load.program,
    mostUnits: mostUnits(planned.unitBytes ?? specBytes / units),
    unitBytes,
    onceBytes,
    load,
    inputs: (first, count) => [encodeInput(input(first, count))],
    pack: ([outcome], _count) => outcome ?? malformed,
    // a failure as a whole is no answer
    cut: cut && (([outcome], first, count) => [cut(outcome as Uint8Array, first, count)]),
    source: sourceOf(items, planned.itemsPerUnit ?? 1),
    reducer: createReducer(),
    createReducer,
    share: [1, 1]
  }
}

/** A program and an input without work, which fail where no worker could do the task; the field is at fault then. */
export interface Probe {
  field: string
  load: LoadMessage
  input: unknown
}

const NONE: readonly Probe[] = []

/** Of a task and of those within it. */
export function probesOf(spec: AnySpec, path = '', isWhole = true): readonly Probe[] {
  const kind = kindOf(spec.type)!
  // a batch may ask a million times
  if (kind.probe == null && kind.inner == null) return NONE
  const inner = kind.inner?.(spec as never, { parse: parseSpec, kindOf }) ?? []
  const within: Probe[] = []
  for (const each of inner) within.push(...probesOf(each.spec, path + each.path, each.isWhole))
  if (kind.probe == null) return within
  const load = loadMessage(plan(spec).program, spec)
  return [{ field: `${path}model`, load, input: kind.probe(spec as never, isWhole) }, ...within]
}

/** A batch: each task is one unit, computed whole; tasks that share their program share a part. */
export function batchWork(specs: readonly AnySpec[], specBytes: number): Work {
  const groups = new Map<string, { load: LoadMessage; tasks: { index: number; whole: Plan['whole'] }[] }>()
  specs.forEach((spec, index) => {
    const { program, whole } = plan(spec) // others were refused at submit
    const load = loadMessage(program, spec)
    const group = groups.get(load.program) ?? { load, tasks: [] }
    group.tasks.push({ index, whole })
    groups.set(load.program, group)
  })
  const all = [...groups.values()]
  const parts = all.map(({ load, tasks }): Part => {
    const createReducer = () => listReducer(tasks.length)
    return {
      units: tasks.length,
      rateKey: `${load.program} whole`,
      mostUnits: Math.min(MAX_TASKS_PER_SLICE, mostUnits(specBytes / specs.length)),
      unitBytes: specBytes / specs.length,
      onceBytes: onceOf(load),
      load,
      inputs: (first, count) => tasks.slice(first, first + count).map(task => encodeValue(task.whole)),
      pack: packBatch,
      cut: (outcomes, first, count) => outcomes.slice(first, first + count),
      reducer: createReducer(),
      createReducer,
      share: [tasks.length, specs.length]
    }
  })
  return {
    total: specs.length,
    next: async completed => (completed == null ? [...parts.entries()] : []),
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

function packBatch(outcomes: Outcomes, count: number): Uint8Array | Failure {
  if (outcomes.length !== count) return malformed
  // not the tasks' fault: a worker that stops in the middle did the first and not the others
  const undone = outcomes.find(
    outcome => 'name' in outcome && (outcome.name === 'aborted' || outcome.name === 'wall-missing')
  )
  if (undone != null) return undone
  return encodeArray(
    count,
    outcomes.flatMap(outcome =>
      outcome instanceof Uint8Array ? [OK_HEAD, outcome] : [encodeValue({ ok: false, failure: outcome })]
    )
  )
}

/** Bytes of a program, its data included. */
const onceOf = ({ source, context }: LoadMessage): number => source.length + (context?.length ?? 0)

function mostUnits(unitBytes: number): number {
  return Math.max(1, Math.floor(MESSAGE_BYTES / Math.max(1, unitBytes)))
}

// Tasks of a batch mostly share their program: its id is calculated once per text.
const MAX_KEPT = 1000
const kept = new Map<string, LoadMessage>()

function loadMessage(program: Program, spec: AnySpec): LoadMessage {
  const timeoutMs = timeoutOf(spec)
  const { kind, source, functions, driver, context } = program
  // it is held as bytes, as values and, by some, in a form of their own
  const heldBytes = (context?.length ?? 0) + (kind === 'onnx' ? source.length : 0)
  const contextMb = Math.ceil((4 * heldBytes) / 2 ** 20)
  const memoryMb = spec.requirements.ramMb ?? DEFAULT_MEMORY_MB + contextMb
  const key =
    context == null && typeof source === 'string'
      ? JSON.stringify([kind, source, functions, driver && driverNumber(driver), timeoutMs, memoryMb])
      : undefined
  const before = key && kept.get(key)
  if (before) return before
  const body = { kind, source, export: program.export, functions, driver, context, timeoutMs, memoryMb }
  const id = idOf(body)
  const load: LoadMessage = { t: 'load', program: id, seed: id, type: spec.type, ...body }
  if (key != null) {
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string)
    kept.set(key, load)
  }
  return load
}

/** SHA-256 of canonical bytes, of which a large context is not copied once more. */
function idOf(body: { context?: Uint8Array }): string {
  if (!isLarge(body.context)) return hash('sha256', encodeValue(body), 'base64url')
  const sha256 = createHash('sha256')
  for (const piece of encodeInPieces(body)) sha256.update(piece)
  return sha256.digest('base64url')
}

// Drivers are a handful of long constants: a number stands for one in the key.
const drivers = new Map<string, number>()

function driverNumber(driver: string): number {
  const number = drivers.get(driver) ?? drivers.size
  drivers.set(driver, number)
  return number
}
