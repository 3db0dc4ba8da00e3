import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { StepFailedError } from '../../errors.ts'
import { countRanks, createOrder, type Space } from '../../spaces/index.ts'
import type { Source } from '../author-source.ts'
import type { Part, Reducer, RunHere, RunPart, Work } from '../contract.ts'
import { encodeContext } from '../drivers.ts'
import { blockSize } from '../fold-tree.ts'
import type { WorkTools } from '../kind.ts'
import { treeReducer } from '../reducers.ts'
import { type AggregateForm, type Counts, createAggregate, type Hit } from './aggregates.ts'
import { createTallyCheck, isFinding } from './check-tally.ts'
import {
  DRIVER,
  type Enumeration,
  type HitsInput,
  leavesBelow,
  type Prefixes,
  type PrefixesInput,
  type Tally
} from './driver.ts'

/** `name`: in the record of results */
export type CheckedAggregate = AggregateForm & { name?: string; of?: Source }

export interface EnumerateTask {
  space: Space
  evaluate?: Source
  prune?: Source
  aggregate: CheckedAggregate[]
  from?: number
  to?: number
  context?: Record<string, unknown>
}

// Between 1,024 and twice as many where there are as many ranks; a block must end long before a slice's time limit.
const MAX_BLOCKS = 1 << 11
const MAX_BLOCK_RANKS = 1 << 20
// Of a tree: enough that the largest does not keep everybody waiting, few enough to be listed.
const LEAST_PREFIXES = 4096
const MOST_PREFIXES = 1 << 20
// Each is a run of its own, with the time of one.
const HITS_AT_ONCE = 256

/** An item with the value that it has; in a tree it has no rank. */
interface Found {
  value: number | bigint
  rank?: number
  item: number[]
}

interface Enumerated {
  visited: number
  skipped: number | bigint
  value: unknown
}

const NOTHING: Tally = [0, 0, []]

/** A space with ranks is one part; of a tree, this node first lists the prefixes that are its units. */
export function enumerateWork(spec: EnumerateTask, { partOf }: WorkTools): Work {
  const { space } = spec
  // of partitions it is a table of megabytes
  const order = createOrder(space)
  const aggregates = spec.aggregate.map(({ name: _, of: __, ...form }) => form)
  const operations = aggregates.map(createAggregate)
  const ofs = spec.aggregate.flatMap(({ of }, i) => (of == null ? [] : [[`of${i}`, of] as const]))
  const onlyCounts = spec.aggregate.every(({ operation, of }) => operation === 'count' && of == null)
  const program = {
    ...(spec.evaluate ?? {
      kind: 'function' as const,
      source: onlyCounts ? '() => true' : 'item => Array.from(item)'
    }),
    functions: { ...Object.fromEntries(ofs), ...(spec.prune == null ? {} : { prune: spec.prune }) },
    driver: DRIVER,
    context: encodeContext(spec.context)
  }

  function partFor(enumeration: Enumeration, tree?: Prefixes): Part {
    const { units, size } = enumeration
    const check = createTallyCheck(
      enumeration,
      { order, operations },
      tree && { ...tree, below: leavesBelow(space, tree.depth) }
    )
    const createReducer = (): Reducer => {
      const { add, nodes } = treeReducer({
        blocks: units,
        combine: (left, right) => merge(left as Tally, right as Tally),
        expect: check,
        finish: root => root
      })
      return {
        add,
        finish: run => finish((nodes()[0]?.[2] as Tally | undefined) ?? NOTHING, run, tree),
        soFar() {
          // of equal values the first counts
          const inOrder = nodes().sort(([a, i], [b, j]) => i * 2 ** a - j * 2 ** b)
          const tallies = inOrder.map(([, , tally]) => tally as Tally)
          if (tallies.length === 0) return undefined
          const all = tallies.reduce(merge)
          return resultsOf(all, hitsOf(all[2]), tree)
        }
      }
    }
    const plan = {
      units,
      program,
      input: (first: number, count: number) => ({
        ...enumeration,
        first,
        count,
        ...(tree == null
          ? {}
          : {
              depth: tree.depth,
              prefixes: tree.prefixes.slice(first * tree.depth, (first + count) * tree.depth)
            })
      }),
      createReducer,
      whole: undefined,
      unitBytes: unitBytes(tree?.depth ?? 0, size)
    }
    const part = partOf(plan)
    // the same code over units of another size is not equally fast
    return { ...part, rateKey: `${part.rateKey} ${JSON.stringify(space)} ${size}` }
  }

  /** What one unit may take in a message, in or out. */
  function unitBytes(depth: number, size: number): number {
    return aggregates.reduce(
      (sum, { operation, k = 1, limit = 0 }) => {
        if (operation === 'collect') return sum + 64 * Math.min(limit, size)
        return operation === 'topk' ? sum + (16 + 4 * order.size) * Math.min(k, size) : sum
      },
      4 * depth + 64
    )
  }

  const merge = (left: Tally, right: Tally): Tally => [
    left[0] + right[0],
    (left[1] as number) + (right[1] as number),
    operations.map((operation, i) => operation.combine(left[2][i], right[2][i]))
  ]

  type FoundHit = HitsInput['hits'][number] & { value: number | bigint }

  function hitsOf(accs: unknown[]): FoundHit[] {
    const rankOf = (item: Int32Array): { rank?: number } => {
      if (space.type === 'tree') return {}
      const state = new Int32Array(order.size)
      state.set(item)
      return { rank: order.rank(state) }
    }
    return aggregates.flatMap((form, aggregate) =>
      isFinding(form)
        ? ((accs[aggregate] ?? []) as Hit[]).map(([value, item]) => ({
            aggregate,
            value,
            item,
            ...rankOf(item)
          }))
        : []
    )
  }

  async function finish(tally: Tally, run: RunHere, tree?: Prefixes): Promise<Uint8Array> {
    const [, , accs] = tally
    const excess = operations[accs.indexOf(null)]?.excess
    if (excess != null) throw new StepFailedError({ name: 'invalid-result', message: excess })
    const hits = hitsOf(accs)
    if (hits.length > 0) await confirm(hits, run)
    return encodeValue(resultsOf(tally, hits, tree))
  }

  function resultsOf([visited, skipped, accs]: Tally, hits: FoundHit[], tree?: Prefixes): Enumerated {
    const results = aggregates.map((form, i): unknown => {
      const found = hits.filter(({ aggregate }) => aggregate === i)
      return resultOf(
        form,
        accs[i],
        found.map(({ value, item, rank }) => ({ value, ...(rank == null ? {} : { rank }), item: [...item] }))
      )
    })
    const { name } = spec.aggregate[0]!
    return {
      visited,
      skipped: tree == null ? skipped : BigInt(skipped) + tree.skipped,
      value:
        name == null
          ? results[0]
          : Object.fromEntries(spec.aggregate.map((each, i) => [each.name!, results[i]]))
    }
  }

  /** A worker may say of an item that it has any value: this node asks the item itself. */
  async function confirm(hits: FoundHit[], run: RunHere): Promise<void> {
    const asked = hits.map(({ value: _, ...hit }) => hit)
    const values: unknown[] = []
    for (let at = 0; at < asked.length; at += HITS_AT_ONCE) {
      const some: HitsInput = { space, hits: asked.slice(at, at + HITS_AT_ONCE) }
      values.push(...(decodeValue(await run(some)) as unknown[]))
    }
    const wrong = hits.findIndex(({ value }, i) => !Object.is(value, values[i]))
    if (wrong < 0) return
    const { item, value } = hits[wrong]!
    throw new StepFailedError({
      name: 'invalid-result',
      message: `a worker said that [${item}] has ${value}; it has ${values[wrong]}. Submit the job again with another \`verify\`, such as "quorum:2"`
    })
  }

  /** The ranks from..to in blocks. */
  function numbered(): Part {
    const [from, to] = [spec.from ?? 0, spec.to ?? countRanks(space)!]
    const size = Math.min(blockSize(to - from, MAX_BLOCKS), MAX_BLOCK_RANKS)
    return partFor({ space, aggregates, units: Math.ceil((to - from) / size), from, to, size })
  }

  async function branched(run: RunPart): Promise<Part> {
    const plain = { space, aggregates, from: 0, to: 0, size: 1 }
    const input: PrefixesInput = { space, least: LEAST_PREFIXES, most: MOST_PREFIXES }
    const tree = decodeValue(await run(partFor({ ...plain, units: 1 }))(input)) as Prefixes
    return partFor({ ...plain, units: tree.depth === 0 ? 1 : tree.prefixes.length / tree.depth }, tree)
  }

  let part = space.type === 'tree' ? undefined : numbered()
  return {
    get total() {
      return part?.units ?? 1
    },
    async next(completed, run) {
      if (completed != null) return []
      part ??= await branched(run)
      return part.units === 0 ? [] : [[0, part]]
    },
    finish: run => part!.reducer.finish(run(part!)),
    soFar: () => part?.reducer.soFar?.()
  }
}

/** `acc`: undefined where there was no unit */
function resultOf({ operation, exact }: AggregateForm, acc: unknown, found: Found[]): unknown {
  switch (operation) {
    case 'count':
      return acc ?? 0
    case 'sum':
      return acc ?? (exact ? 0n : 0)
    case 'min':
    case 'max':
      return found[0] ?? null
    case 'topk':
      return found
    case 'histogram': {
      const [keys, counts] = (acc ?? [[], []]) as Counts
      return keys.map((key, i) => [key, counts[i]])
    }
    case 'collect':
      return acc ?? []
  }
}
