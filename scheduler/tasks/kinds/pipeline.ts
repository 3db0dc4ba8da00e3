import { decodeValue, encodeValue, type Failure } from '../../../sandbox/index.ts'
import { SpecError } from '../../errors.ts'
import type { NumberedPart, RunPart, Work } from '../contract.ts'
import type { PipelineSpec, TaskSpec } from '../schema.ts'

type Node = PipelineSpec['nodes'][number]
type Task = Record<string, unknown>

// What a task takes from its only parent when the node does not say.
const MAIN_FIELD: Record<string, string> = {
  map: 'items',
  filter: 'items',
  map_reduce: 'items',
  matrix: 'a',
  ml_inference: 'input',
  ml_train_step: 'data',
  wasm: 'items',
  script: 'input'
}
// Stands for an output that does not exist yet when the rest of the task is checked.
const PLACEHOLDER: Record<string, unknown> = { items: [], start: 0, end: 0 }
// Types whose other fields can be checked before their input is known.
const CHECKED_EARLY = ['range_reduce', 'map', 'filter', 'map_reduce', 'script']
const FIELD = /^[a-zA-Z]\w*(\.[a-zA-Z]\w*)*$/

/**
 * Checks ids, edges and, as far as they are known, the tasks; gives the nodes with every function as text and every
 * `input` spelled out. Throws SpecError that names the node.
 */
export function checkPipeline(nodes: Node[], parseSpec: (task: unknown) => TaskSpec): Node[] {
  const ids = new Set<string>()
  for (const { id } of nodes) {
    if (ids.has(id)) throw new SpecError('nodes', `two nodes have the id \`${id}\``)
    ids.add(id)
  }
  for (const { id, dependsOn } of nodes) {
    const unknown = dependsOn.find(parent => !ids.has(parent))
    if (unknown != null)
      throw new SpecError(
        `nodes.${id}.dependsOn`,
        `\`${unknown}\` is not a node; there are ${[...ids].join(', ')}`
      )
  }
  const cycle = findCycle(nodes)
  if (cycle != null) throw new SpecError(`nodes.${cycle[0]}.dependsOn`, `is a cycle: ${cycle.join(' → ')}`)
  return nodes.map(node => {
    const task = asText(node.task) as Task
    const input = inputsOf(node, task)
    const probe = Object.keys(input).reduce(
      (rest, field) => put(rest, field, PLACEHOLDER[field] ?? null),
      task
    )
    try {
      const early = Object.keys(input).length === 0 || CHECKED_EARLY.includes(task.type as string)
      // an unknown type is refused either way
      if (early || MAIN_FIELD[task.type as string] == null) parseSpec(probe)
    } catch (err) {
      if (!(err instanceof SpecError)) throw err
      throw new SpecError(`nodes.${node.id}.task.${err.field}`, err.message.slice(err.field.length + 2))
    }
    return { ...node, dependsOn: [...new Set(node.dependsOn)], task, input }
  })
}

function inputsOf({ id, dependsOn, input }: Node, task: Task): Record<string, string> {
  if (input != null) {
    for (const [field, from] of Object.entries(input)) {
      if (!FIELD.test(field))
        throw new SpecError(`nodes.${id}.input`, `\`${field}\` is not a field of a task`)
      const parent = from.split('.')[0]!
      if (!dependsOn.includes(parent))
        throw new SpecError(`nodes.${id}.input.${field}`, `\`${parent}\` is not in dependsOn; add it there`)
    }
    return input
  }
  const field = MAIN_FIELD[task.type as string]
  if (dependsOn.length === 0 || (field != null && task[field] !== undefined)) return {}
  if (field === 'input' && task.type === 'script' && dependsOn.length > 1)
    return Object.fromEntries(dependsOn.map(parent => [`input.${parent}`, parent]))
  if (field == null || dependsOn.length > 1)
    throw new SpecError(
      `nodes.${id}.input`,
      `is needed to say which field takes the output of ${dependsOn.join(', ')}, such as \`{ items: '${dependsOn[0]}' }\``
    )
  return { [field]: dependsOn[0]! }
}

function findCycle(nodes: Node[]): string[] | undefined {
  const parents = new Map(nodes.map(({ id, dependsOn }) => [id, dependsOn]))
  const done = new Set<string>()
  const walk = (id: string, path: string[]): string[] | undefined => {
    if (path.includes(id)) return [...path.slice(path.indexOf(id)), id]
    if (done.has(id)) return
    for (const parent of parents.get(id)!) {
      const cycle = walk(parent, [...path, id])
      if (cycle != null) return cycle
    }
    done.add(id)
    return
  }
  for (const { id } of nodes) {
    const cycle = walk(id, [])
    // against the edges, so that it reads in the direction of the data
    if (cycle != null) return cycle.reverse()
  }
  return
}

/** Functions travel and are stored as their text. */
export function asText(value: unknown): unknown {
  if (typeof value === 'function') return String(value)
  if (Array.isArray(value)) return value.map(asText)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, asText(each)]))
}

/** A copy of `object` with the value at `path`. */
function put(object: Task, path: string, value: unknown): Task {
  const [key, ...rest] = path.split('.') as [string, ...string[]]
  return {
    ...object,
    [key]: rest.length === 0 ? value : put((object[key] ?? {}) as Task, rest.join('.'), value)
  }
}

function pick(value: unknown, path: string[]): unknown {
  return path.reduce((at, key) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key))
      throw new Error(`the output has no \`${path.join('.')}\``)
    return (at as Task)[key]
  }, value)
}

interface Running {
  node: Node
  index: number
  children: Running[]
  /** parents without output */
  waits: number
  work?: Work
  open: number
  output?: unknown
}

/**
 * Every node is a job of its own kind within the job: it starts when the last of its parents has its output.
 * Part p of node i has the number p · nodes + i. The result is `{ [id]: output }` of every node.
 */
export function pipelineWork(
  { nodes }: PipelineSpec,
  parseSpec: (task: unknown) => TaskSpec,
  createWork: (spec: TaskSpec, specBytes: number) => Work
): Work {
  const all = nodes.map(
    (node, index): Running => ({ node, index, children: [], waits: node.dependsOn.length, open: 0 })
  )
  const byId = new Map(all.map(running => [running.node.id, running]))
  for (const running of all)
    for (const parent of running.node.dependsOn) byId.get(parent)!.children.push(running)

  /** Plans a node whose parents are all done. */
  async function begin(running: Running, run: RunPart): Promise<NumberedPart[]> {
    const { node } = running
    return blame(running, async () => {
      let task = node.task as Task
      for (const [field, from] of Object.entries(node.input ?? {})) {
        const [parent, ...path] = from.split('.') as [string, ...string[]]
        task = put(task, field, pick(byId.get(parent)!.output, path))
      }
      const spec = parseSpec(task)
      running.work = createWork(spec, encodeValue(spec).length)
      return progress(running, undefined, run)
    })
  }

  async function progress(
    running: Running,
    completed: number | undefined,
    run: RunPart
  ): Promise<NumberedPart[]> {
    const work = running.work!
    const parts = await work.next(completed, run)
    if (completed != null) running.open--
    running.open += parts.length
    // a node has an equal share of the bound, whatever its units are
    for (const [, part] of parts) part.share = [part.share[0], part.share[1] * all.length]
    if (running.open > 0) return parts.map(([number, part]) => [number * all.length + running.index, part])
    running.output = decodeValue(await work.finish(run))
    const ready = running.children.filter(child => --child.waits === 0)
    return (await Promise.all(ready.map(child => begin(child, run)))).flat()
  }

  async function blame<T>(running: Running, action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (err) {
      if (err instanceof NodeError) throw err
      throw new NodeError(explain(running, (err as Error).message), { cause: err })
    }
  }

  function explain(running: Running, message: string): string {
    const descendants = new Set<Running>()
    const collect = (from: Running): void => {
      for (const child of from.children) {
        if (descendants.has(child)) continue
        descendants.add(child)
        collect(child)
      }
    }
    collect(running)
    const ids = [...descendants].map(({ node }) => node.id).join(', ')
    return `node ${running.node.id} failed: ${message}${ids && `. Not run, because they depend on it: ${ids}`}`
  }

  return {
    get total() {
      return all.reduce((sum, { work }) => sum + (work?.total ?? 1), 0)
    },
    async next(completed, run) {
      if (completed == null) {
        const roots = all.filter(({ waits }) => waits === 0)
        return (await Promise.all(roots.map(root => begin(root, run)))).flat()
      }
      const running = all[completed % all.length]!
      return blame(running, () => progress(running, Math.floor(completed / all.length), run))
    },
    explain(number, failure): Failure {
      const running = all[number % all.length]!
      const inner = running.work?.explain?.(Math.floor(number / all.length), failure) ?? failure
      return { ...inner, message: explain(running, inner.message) }
    },
    finish: async () => encodeValue(Object.fromEntries(all.map(({ node, output }) => [node.id, output])))
  }
}

/** The failure of one node, with its name in the message. */
class NodeError extends Error {}
