import { strict as assert } from 'node:assert'
import { defaultLogger } from '@libp2p/logger'
import { encodeValue } from '../../sandbox/index.ts'
import { BlockError } from '../../scheduler/errors.ts'
import { spill } from '../../scheduler/protocol/kept-partitions.ts'
import type { Part, Work } from '../../scheduler/tasks/contract.ts'
import { BlocksMissingError, createWorkerInputs } from '../../scheduler/worker/gather-inputs.ts'
import { createKeptBlocks, type KeptBlocks } from '../../scheduler/worker/kept-blocks.ts'
import { type Run, runHere } from './programs.ts'
import { createRandom } from './run-work.ts'

export const log = defaultLogger().forComponent('test')
export const here = (part: Part): Run => runHere(part.load)

export interface Stored {
  part: number
  first: number
  count: number
  value: Uint8Array
  workers: string[]
}

interface Peer {
  id: string
  kept: KeptBlocks
}

/** Workers of this process: each keeps its large answers and fetches those of others. */
export class Fleet {
  peers: Peer[]
  /** who can reach whom */
  reaches: (from: string, to: string) => boolean = () => true
  /** what comes to the coordinator */
  bytes = 0
  readonly stored: Stored[] = []
  readonly #random: () => number
  readonly #program: (part: Part) => Run | Promise<Run>

  constructor(workers: number, seed: number, program: (part: Part) => Run | Promise<Run> = here) {
    this.#random = createRandom(seed)
    this.#program = program
    this.peers = Array.from({ length: workers }, (_, i) => ({ id: `w${i}`, kept: createKeptBlocks() }))
  }

  /** numbers of the parts that ran, in order */
  get parts(): number[] {
    return [...new Set(this.stored.map(({ part }) => part))]
  }

  /** Runs the work; `onPart` is called before each part, `replay`: what was accepted before a restart. */
  async run(
    work: Work,
    how: { slice: number; copies?: number; onPart?: (part: number) => void; replay?: Stored[] }
  ): Promise<Uint8Array> {
    const run = (part: Part) => async (input: unknown) => (await this.#program(part))(encodeValue(input))
    const [start] = await work.next(undefined, run)
    for (let at = start; at != null; [at] = await work.next(at[0], run)) {
      const [number, part] = at
      how.onPart?.(number)
      const before = (how.replay ?? []).filter(each => each.part === number)
      for (const { first, count, value, workers } of before) part.reducer.add(first, count, value, workers)
      for (const [first, count] of this.#cut(part, how.slice)) {
        if (before.some(each => each.first === first)) continue
        const { value, workers } = await this.#answer(part, first, count, how.copies ?? 1)
        part.reducer.add(first, count, value, workers)
        this.stored.push({ part: number, first, count, value, workers })
      }
    }
    return work.finish(run)
  }

  #cut({ units, mostUnits }: Part, slice: number): [number, number][] {
    const size = Math.min(slice, mostUnits)
    const slices = Array.from({ length: Math.ceil(units / size) }, (_, i): [number, number] => [
      i * size,
      Math.min(size, units - i * size)
    ])
    return this.#shuffled(slices)
  }

  #shuffled<T>(list: readonly T[]): T[] {
    return list
      .map(each => ({ each, key: this.#random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ each }) => each)
  }

  async #answer(part: Part, first: number, count: number, copies: number) {
    const values: Uint8Array[] = []
    const workers: string[] = []
    const missing: Uint8Array[][] = []
    for (const peer of this.#shuffled(this.peers)) {
      try {
        values.push(await this.#compute(peer, part, first, count))
        workers.push(peer.id)
      } catch (err) {
        if (!(err instanceof BlocksMissingError)) throw err
        missing.push(part.missing!.of(first, err.missing))
      }
      if (workers.length === copies || missing.length === 2) break
    }
    for (const value of values) assert.deepEqual(value, values[0], 'honest workers give the same bytes')
    if (values[0] != null) return { value: values[0], workers }
    return { value: part.missing!.result(missing.flat()), workers: [] }
  }

  async #compute({ id, kept }: Peer, part: Part, first: number, count: number): Promise<Uint8Array> {
    const get = async (peer: string, digest: Uint8Array): Promise<Uint8Array> => {
      const holder = this.peers.find(other => other.id === peer)
      const block = holder != null && this.reaches(id, peer) ? holder.kept.get(digest) : undefined
      if (block == null) throw new BlockError(`${peer} does not have it`)
      return block
    }
    const inputs = createWorkerInputs({ blocks: { get }, kept, log })
    const [input] = await inputs.fetch('requester', part.inputs(first, count), AbortSignal.timeout(60_000))
    let answer = await (await this.#program(part))(input!)
    const spilled = part.keep ? spill(answer, input!.length) : undefined
    for (const [digest, block] of spilled?.blocks ?? []) kept.put(digest, block)
    answer = spilled?.value ?? answer
    this.bytes += answer.length
    const packed = part.pack([answer], count, first)
    assert.ok(packed instanceof Uint8Array, (packed as { message: string }).message)
    return packed
  }
}
