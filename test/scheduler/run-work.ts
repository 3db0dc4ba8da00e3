import { strict as assert } from 'node:assert'
import { createSandbox, decodeValue, encodeValue, type Sandbox, type Session } from '../../sandbox/index.ts'
import { type Blocks, chunkCid, readBlock } from '../../scheduler/data/chunked-data.ts'
import { assemble, type BlockRange } from '../../scheduler/data/pieced-input.ts'
import { findReferences, resolveInputs } from '../../scheduler/data/references.ts'
import type { NumberedPart, Part, Work } from '../../scheduler/tasks/contract.ts'
import { createWork } from '../../scheduler/tasks/job-parts.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { STREAMED } from '../../scheduler/tasks/registry.ts'

const noBlocks = async (): Promise<Uint8Array> => assert.fail('an inline spec needs no blocks')

/** Numbers from 0 to 1 that a seed decides: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A spec as the scheduler plans it. */
export function workOf(spec: unknown): Work {
  const parsed = parseSpec(spec)
  // what lies on disk is what is planned
  const bytes = encodeValue(parsed)
  return createWork(decodeValue(bytes) as typeof parsed, bytes.length)
}

async function workOfData(spec: object, blocks: Blocks): Promise<Work> {
  const options = { signal: AbortSignal.timeout(60_000), streamed: STREAMED }
  const { spec: resolved, bytes } = await resolveInputs(spec, findReferences(spec), blocks, options)
  return createWork(parseSpec(resolved), bytes)
}

/**
 * Runs specs as the scheduler does, cut by cut, in real sandboxes, but without peers: slices of `slice` units (a
 * number, or chosen by chance from 1 to all) in an order that `seed` decides.
 */
export class WorkRunner {
  #sandbox: Sandbox = createSandbox({ warm: 1 })
  readonly #sessions = new Map<string, Session>()

  async start(): Promise<void> {
    await this.#sandbox.start()
  }

  async stop(): Promise<void> {
    await this.#close()
    await this.#sandbox.stop()
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(session => session.close()))
    this.#sessions.clear()
  }

  /** `blocks`: where the data lies that the spec names by CID */
  async run(
    spec: unknown,
    { slice, seed = 1, blocks }: { slice?: number; seed?: number; blocks?: Blocks } = {}
  ): Promise<Uint8Array> {
    const work = blocks == null ? workOf(spec) : await workOfData(spec as object, blocks)
    const get =
      blocks == null
        ? noBlocks
        : ({ block }: BlockRange) =>
            readBlock(blocks, chunkCid(block), { signal: AbortSignal.timeout(60_000) })
    const random = createRandom(seed)
    const run = (part: Part) => (input: unknown) => this.#outcome(part, encodeValue(input))
    try {
      const open: NumberedPart[] = await work.next(undefined, run)
      while (open.length > 0) {
        const [[number, part]] = open.splice(Math.floor(random() * open.length), 1) as [NumberedPart]
        const slices: [number, number][] = []
        for (let first = 0; first < part.units; ) {
          const count = Math.min(part.units - first, slice ?? 1 + Math.floor(random() * part.units))
          slices.push([first, count])
          first += count
        }
        while (slices.length > 0) {
          const [[first, count]] = slices.splice(Math.floor(random() * slices.length), 1) as [
            [number, number]
          ]
          const outcomes = await Promise.all(
            part.inputs(first, count).map(async input => this.#outcome(part, await assemble(input, get)))
          )
          const packed = part.pack(outcomes, count, first)
          if (!(packed instanceof Uint8Array)) throw new Error(packed.message)
          part.reducer.add(first, count, packed)
        }
        open.push(...(await work.next(number, run)))
      }
      return await work.finish(run)
    } finally {
      await this.#close()
    }
  }

  async result(spec: unknown, how?: { slice?: number; seed?: number }): Promise<any> {
    return decodeValue(await this.run(spec, how))
  }

  async #outcome({ load }: Part, input: Uint8Array): Promise<Uint8Array> {
    const { t: _, program: id, timeoutMs, memoryMb, ...program } = load
    const session =
      this.#sessions.get(id) ??
      (await this.#sandbox.open(program, {
        requester: 'test',
        trusted: true,
        limits: { timeoutMs, memoryMb, outputBytes: 2 ** 28 }
      }))
    this.#sessions.set(id, session)
    const [outcome] = await session.run([input])
    if (!outcome?.ok) throw new Error(`${outcome?.failure.name}: ${outcome?.failure.message}`)
    return outcome.value
  }
}
