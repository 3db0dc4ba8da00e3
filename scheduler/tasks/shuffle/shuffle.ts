import { decodeValue, encodeValue, type Failure } from '../../../sandbox/index.ts'
import { CHUNK_BYTES } from '../../data/chunked-data.ts'
import { encodeInput, inputBytes, type Piece, PieceValue, type SliceInput } from '../../data/pieced-input.ts'
import { head } from '../../data/value-bytes.ts'
import { ProtocolError } from '../../errors.ts'
import type { KeptPartition } from '../../protocol/kept-partitions.ts'
import { blocksIn, PARTITIONS, partitionsOf, readKept, spill } from '../../protocol/kept-partitions.ts'
import { MAX_HOLDERS, MAX_HOLDERS_PER_BLOCK, MAX_PIECES } from '../../protocol/limits.ts'
import type { Reducer } from '../contract.ts'
import { malformed, type Part, type Work } from '../contract.ts'
import type { TreeNode } from '../fold-tree.ts'
import { ofSlices } from '../kept-part.ts'
import type { TreeReducer } from '../reducers.ts'
import type { GroupingPlan, Held, KeyedGroup, Pair, Partition } from './grouping.ts'

/*
 * Grouped map_reduce of large data. A slice's groups are cut by their keys into partitions; where that is much, they
 * stay at the worker and only their digests come here. Then each partition is reduced by a worker that fetches its
 * share of every slice from whoever calculated it. Keys do not meet, and each is combined in the same tree as ever: the
 * result has the same bytes as without.
 *
 * Part 0 maps. Part 1 + 2r reduces, r being the repairs before it. Part 2r maps again what could not be had.
 */

/** Jobs with smaller specs are not worth it. */
export const SHUFFLE_BYTES = 4 * 1024 * 1024
// The last one brings the groups here, so that jobs end where workers cannot reach each other.
const MAX_REPAIRS = 2
// What one worker can take: a frame with room for its envelope, of which a part may be inline.
const MAX_PARTITION_BYTES = 60 * 1024 * 1024
// Small groups as values take up to this many times their bytes, beside what a sandbox needs anyway; large ones less.
const MEMORY_FACTOR = 24
const BASE_MEMORY_MB = 64
// What nodes lend to a sandbox by default; more is asked of workers only where the spec does.
const MOST_MEMORY_MB = 512
// Of the job's bound; together `all`.
const SHARES = { map: 56, reduce: [2, 1, 1], repair: [0, 2, 2], all: 64 }

/** What is known of a slice whose groups stayed at its workers. */
interface Source {
  first: number
  count: number
  kept: KeptPartition[]
  /** the accepted answer */
  value: Uint8Array
  workers: string[]
  /** its partitions, once they are here */
  inline?: Uint8Array[]
}

/** `plain`: the part that maps everything, as it is without a shuffle. */
export function shuffledWork(plan: GroupingPlan, plain: Part): Work {
  const { initial, units } = plan
  const { cut, uncut, byKey, isPair, partitionOf } = plan.grouping

  let tree: TreeReducer<Held>
  const sources = new Map<number, Source>()
  /** by the partition's number */
  const results = new Map<number, Pair[]>()
  /** blocks that workers could not get, of partitions without a result */
  const missing = new Map<number, Set<string>>()
  let total = units

  function createMapReducer(): Reducer {
    tree = plan.createReducer()
    sources.clear()
    return {
      add(first, count, value, workers = []) {
        if (value[0]! >> 5 !== 5) {
          tree.add(first, count, value)
          return
        }
        const { kept, cut } = decodeValue(value) as { kept?: unknown; cut?: unknown }
        if (kept == null) tree.put(join(first, count, cut))
        else sources.set(first, { first, count, kept: readKept(kept), value, workers })
      },
      finish: run => tree.finish(run)
    }
  }

  /** A slice's tree nodes with the groups of all partitions. */
  function join(first: number, count: number, partitions: unknown): TreeNode<Held>[] {
    if (!Array.isArray(partitions) || partitions.length !== PARTITIONS)
      throw new ProtocolError(`a result is not cut into ${PARTITIONS} partitions`)
    const each = partitions.map((partition: Partition) => uncut(units, [first, count, partition]))
    return each[0]!.map(([level, index], i) => {
      const groups = each.map(nodes => nodes[i]![2] as KeyedGroup)
      return [
        level,
        index,
        { ids: groups.flatMap(({ ids }) => ids), accs: groups.flatMap(({ accs }) => accs) }
      ]
    })
  }

  const map: Part = {
    ...plain,
    keep: true,
    inputs: (first, count) => [encodeInput({ ...plan.input(first, count), partitions: PARTITIONS })],
    reducer: createMapReducer(),
    createReducer: createMapReducer,
    share: [SHARES.map, SHARES.all]
  }

  // ---- reducing ----

  function reducePart(repairs: number): Part {
    const partitions = Array.from({ length: PARTITIONS }, (_, i) => i).filter(i => !results.has(i))
    const input = inputsOf(partitions)
    const needed = BASE_MEMORY_MB + Math.ceil((MEMORY_FACTOR * Math.max(...input.map(inputBytes))) / 2 ** 20)
    const memoryMb = Math.min(needed, MOST_MEMORY_MB)
    const load =
      memoryMb <= map.load.memoryMb
        ? map.load
        : { ...map.load, memoryMb, program: `${map.load.program} ${memoryMb}` }
    const createReducer = (): Reducer => {
      for (const partition of partitions) results.delete(partition)
      const lacking = new Map(partitions.map(partition => [partition, missing.get(partition)]))
      return {
        add(unit, _count, value) {
          const partition = partitions[unit]!
          const answer = decodeValue(value)
          if (Array.isArray(answer)) results.set(partition, expectResult(answer, partition))
          else {
            const names = (answer as { missing: Uint8Array[] }).missing.map(nameOf)
            missing.set(partition, new Set([...(lacking.get(partition) ?? []), ...names]))
          }
        },
        finish: async () => result()
      }
    }
    total += partitions.length
    return {
      units: partitions.length,
      mostUnits: 1,
      unitBytes: input.reduce((sum, each) => sum + inputBytes(each), 0) / partitions.length,
      onceBytes: 0,
      rateKey: `${map.rateKey} reduce`,
      load,
      inputs: first => [input[first]!],
      // what is no list stands for what is missing, and only this node may say that
      pack([outcome]) {
        const isForged = outcome instanceof Uint8Array && outcome[0]! >> 5 !== 4
        return outcome == null || isForged ? malformed : outcome
      },
      missing: {
        of: (unit, digests) => {
          const needed = new Set(digestsOf(partitions[unit]!).map(nameOf))
          return digests.filter(digest => needed.has(nameOf(digest)))
        },
        result: digests => encodeValue({ missing: digests })
      },
      reducer: createReducer(),
      createReducer,
      share: [SHARES.reduce[repairs]!, SHARES.all]
    }
  }

  /** Throws unless these are results of the partition's own keys, each once and in order. */
  function expectResult(pairs: unknown[], partition: number): Pair[] {
    const isRight = pairs.every(
      (pair, i) =>
        isPair(pair) &&
        partitionOf(pair[0], PARTITIONS) === partition &&
        (i === 0 || byKey(pairs[i - 1] as Pair, pair) < 0)
    )
    if (!isRight)
      throw new ProtocolError(`a result is no list of the keys of partition ${partition} in order`)
    return pairs as Pair[]
  }

  /** The input of each of these partitions. Throws where one is too large for a worker. */
  function inputsOf(partitions: number[]): SliceInput[] {
    // what came inline is combined as far as it can be
    const nodes = tree.nodes()
    const here = cut(nodes, PARTITIONS)
    if (here == null)
      throw new TypeError(
        'map gave [key, value] pairs for some items and plain values for others; give the same form for all'
      )
    const holders = [...new Set([...sources.values()].flatMap(({ workers }) => workers))].slice(
      0,
      MAX_HOLDERS
    )
    const places = new Map(holders.map((holder, place) => [holder, place]))
    const ordered = inOrder(sources.values()).map(({ first, count, kept, inline, workers }) => ({
      slice: Buffer.concat([head(4, 3), encodeValue(first), encodeValue(count)]),
      partitions: inline ?? kept,
      at: workers.flatMap(worker => places.get(worker) ?? []).slice(0, MAX_HOLDERS_PER_BLOCK)
    }))
    return partitions.map(partition => {
      const pieces: Piece[] = [head(4, ordered.length)]
      for (const { slice, partitions, at } of ordered)
        pieces.push(slice, ...piecesOf(partitions[partition]!, at))
      const merge = nodes.map(([level, index], i) => [level, index, { groups: here.cut[partition]![i] }])
      const rest = { ...plan.input(0, 0), initial, whole: true, merge }
      const input = encodeInput({ ...rest, parts: new PieceValue(pieces) })
      if (inputBytes(input) > MAX_PARTITION_BYTES || pieces.length > MAX_PIECES)
        throw new RangeError(
          `the groups of one of ${PARTITIONS} partitions take ${inputBytes(input)} bytes, at most ${MAX_PARTITION_BYTES} can be reduced on a worker; give \`map\` fewer keys, or split the job`
        )
      return input instanceof Uint8Array ? input : { ...input, holders }
    })
  }

  /** The digests of a partition's blocks, of all slices that are not here. */
  function digestsOf(partition: number): Uint8Array[] {
    return [...sources.values()].flatMap(({ kept, inline }) =>
      inline == null ? blocksIn(kept[partition]!) : []
    )
  }

  // ---- repairing ----

  function repairPart(repairs: number): Part {
    const lost = inOrder(sources.values()).filter(({ kept, inline }) =>
      [...missing].some(
        ([partition, names]) =>
          inline == null && blocksIn(kept[partition]!).some(each => names.has(nameOf(each)))
      )
    )
    const isLast = repairs === MAX_REPAIRS
    total += lost.length
    const isSame = ({ first, count, value }: Source, answer: Uint8Array): boolean => {
      const again = isLast ? spill(answer, bytesOf(map.inputs(first, count)))?.value : answer
      return again != null && Buffer.compare(again, value) === 0
    }
    const createReducer = (): Reducer => ({
      add(unit, _count, value, workers = []) {
        const source = lost[unit]!
        // of a part that was numbered otherwise: a slice before it was lost with the power
        if (!isSame(source, value)) throw new ProtocolError(different.message)
        if (isLast) source.inline = partitionsOf(value)
        else source.workers = [...new Set([...workers, ...source.workers])]
      },
      finish: async () => result()
    })
    return {
      ...map,
      units: lost.length,
      mostUnits: 1,
      rateKey: `${map.rateKey} again`,
      inputs: unit => map.inputs(lost[unit]!.first, lost[unit]!.count),
      keep: !isLast,
      source: ofSlices(
        map,
        lost.map(({ first, count }) => [first, count])
      ).source,
      pack([outcome], _count, unit) {
        if (!(outcome instanceof Uint8Array)) return outcome ?? malformed
        return isSame(lost[unit]!, outcome) ? outcome : different
      },
      reducer: createReducer(),
      createReducer,
      share: [SHARES.repair[repairs]!, SHARES.all]
    }
  }

  const result = (): Uint8Array => encodeValue([...results.values()].flat().sort(byKey))

  return {
    get total() {
      return total
    },
    async next(completed) {
      if (completed == null) return [[0, map]]
      if (completed === 0 && sources.size === 0) return []
      const repairs = Math.floor(completed / 2)
      if (completed % 2 === 0) return [[completed + 1, reducePart(repairs)]]
      for (const partition of results.keys()) missing.delete(partition)
      if (missing.size === 0) return []
      if (repairs === MAX_REPAIRS)
        throw new Error(
          `the groups of ${missing.size} partitions could not be had from the workers that calculated them, after ${MAX_REPAIRS} repairs; submit the job again`
        )
      return [[completed + 1, repairPart(repairs + 1)]]
    },
    explain: (index, failure) =>
      index % 2 === 1 && failure.name === 'out-of-memory'
        ? {
            ...failure,
            message: `${failure.message} for one of ${PARTITIONS} partitions of the groups; ${REMEDY}`
          }
        : failure,
    finish: async run => (sources.size === 0 ? tree.finish(run(map)) : result())
  }
}

const REMEDY = 'set `requirements.ramMb`, or split the job'

const different: Failure = {
  name: 'invalid-result',
  message: 'the groups are not those that were accepted when they were calculated before'
}

const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64url')

const bytesOf = (inputs: SliceInput[]): number => inputs.reduce((sum, input) => sum + inputBytes(input), 0)

const inOrder = (sources: Iterable<Source>): Source[] => [...sources].sort((a, b) => a.first - b.first)

function piecesOf(partition: KeptPartition, at: number[]): Piece[] {
  if (partition instanceof Uint8Array) return [partition]
  const [size] = partition
  return blocksIn(partition).map((block, i) => ({
    block,
    from: 0,
    to: Math.min(CHUNK_BYTES, size - i * CHUNK_BYTES),
    at
  }))
}
