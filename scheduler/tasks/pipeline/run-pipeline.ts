import { decodeValue, encodeValue, type Failure } from '../../../sandbox/index.ts'
import { StepFailedError } from '../../errors.ts'
import type { NumberedPart, RunPart, Work } from '../contract.ts'
import type { AnySpec } from '../kind.ts'

export type Task = Record<string, unknown>

export interface Node {
  id: string
  task: Task
  dependsOn: string[]
  /** field of the task → the parent whose output it takes, `parent` or `parent.path.in.it` */
  input?: Record<string, string>
}

function pick(value: unknown, path: string[]): unknown {
  return path.reduce((at, key) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key))
      throw new Error(`the output has no \`${path.join('.')}\``)
    return (at as Task)[key]
  }, value)
}

/** A copy of `object` with the value at `path`. */
export function put(object: Task, path: string, value: unknown): Task {
  const [key, ...rest] = path.split('.') as [string, ...string[]]
  return {
    ...object,
    [key]: rest.length === 0 ? value : put((object[key] ?? {}) as Task, rest.join('.'), value)
  }
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
  nodes: Node[],
  parse: (task: unknown) => AnySpec,
  workOf: (spec: AnySpec, specBytes: number) => Work
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
      const spec = parse(task)
      running.work = workOf(spec, encodeValue(spec).length)
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
      const { failure = { name: 'threw' as const } } = err as Partial<StepFailedError>
      throw new NodeError({ ...failure, message: explain(running, (err as Error).message) }, { cause: err })
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
class NodeError extends StepFailedError {}
