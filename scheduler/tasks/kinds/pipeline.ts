import { z } from 'zod'
import { SpecError } from '../../errors.ts'
import { asText } from '../authored.ts'
import { type AnyKind, type CheckTools, defineKind } from '../kind.ts'
import { type Node, pipelineWork, put, type Task } from '../pipeline/run-pipeline.ts'

const node = z.strictObject({
  id: z.string().regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
  task: z.record(z.string(), z.unknown()),
  dependsOn: z.array(z.string()).default([]),
  /** field of the task → the parent whose output it takes, `parent` or `parent.path.in.it` */
  input: z.record(z.string(), z.string()).optional()
})

/** Tasks that take the outputs of others. */
export const pipeline = defineKind({
  type: 'pipeline',
  fields: { nodes: z.array(node).min(1).max(1000) },
  description: 'Tasks that take the outputs of others; independent ones run at the same time.',
  limits: { timeoutMs: 60_000, items: 1000 },
  example: {
    type: 'pipeline',
    nodes: [
      { id: 'squares', task: { type: 'map', items: [1, 2, 3], fn: 'x => x * x' } },
      {
        id: 'sum',
        task: { type: 'map_reduce', map: 'x => x', reduce: 'sum' },
        dependsOn: ['squares'],
        input: { items: 'squares' }
      }
    ]
  },
  check: (spec, tools) => ({ ...spec, nodes: checkNodes(spec.nodes, tools) }),
  // one at a time: each may have large inputs
  *inner({ nodes }, { parse, kindOf }) {
    for (const { id, task, input = {} } of nodes) {
      const kind = kindOf(task.type)
      const known = kind?.probe == null && kind?.inner == null ? undefined : knownTask(task, input, kind)
      if (known !== undefined)
        yield { path: `nodes.${id}.task.`, spec: parse(known), isWhole: known === task }
    }
  },
  work: ({ nodes }, { parse, workOf }) => pipelineWork(nodes, parse, workOf)
})

const FIELD = /^[a-zA-Z]\w*(\.[a-zA-Z]\w*)*$/

/**
 * Checks ids, edges and, as far as they are known, the tasks; gives the nodes with every function as text and every
 * `input` spelled out. Throws SpecError that names the node.
 */
function checkNodes(nodes: Node[], { parse, kindOf }: CheckTools): Node[] {
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
    const kind = kindOf(task.type)
    const input = inputsOf(node, task, kind?.pipelineField)
    try {
      const known = knownTask(task, input, kind)
      if (known !== undefined) parse(known)
    } catch (err) {
      if (!(err instanceof SpecError)) throw err
      throw new SpecError(`nodes.${node.id}.task.${err.field}`, err.message.slice(err.field.length + 2))
    }
    return { ...node, dependsOn: [...new Set(node.dependsOn)], task, input }
  })
}

/** The task with what stands for outputs that are not there yet; undefined where it cannot be checked before they are. */
function knownTask(task: Task, input: Record<string, string>, kind: AnyKind | undefined): Task | undefined {
  const fields = Object.keys(input)
  if (fields.length === 0) return task
  const values = kind?.placeholders?.(fields, task)
  // an unknown type is refused either way
  if (values === undefined && kind?.pipelineField != null) return undefined
  return fields.reduce((rest, field) => put(rest, field, values?.[field] ?? null), task)
}

function inputsOf({ id, dependsOn, input }: Node, task: Task, field?: string): Record<string, string> {
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
