import type { CID } from 'multiformats/cid'
import { decodeValue } from '../../sandbox/index.ts'
import type { DataStream } from '../contract.ts'
import { type Blocks, chunkCid, chunksOf, type Data, openData, readCid } from '../data/chunked-data.ts'
import type { DatasetItems } from '../data/dataset.ts'
import {
  datasetIn,
  type FoundReference,
  findReferences,
  MAX_WHOLE_BYTES,
  resolveInputs,
  withReferences
} from '../data/references.ts'
import { SpecError } from '../errors.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import { STREAMED, takesDatasets } from '../tasks/registry.ts'

// A CID that nobody has this long is missing; what comes from another node must be here by then too.
const DATA_TIMEOUT_MS = 30_000

/** A spec with its data in place, and as it is stored. */
export interface Resolved<T> {
  spec: T
  stored: T
  data?: Data[]
  /** of what it names by CID */
  bytes: number
}

export interface DataComponents {
  /** where data lies on this node; without it every input is inline */
  blockstore?: Blocks
  /** blocks of other nodes */
  blocks: Pick<BlockExchange, 'get'>
  datasets: {
    /** Throws SpecError, DatasetMissingError. */
    items(reference: unknown, spec: object): DatasetItems
    /** the canonical list of them all */
    whole(items: DatasetItems, options: { signal: AbortSignal }): Promise<Uint8Array>
  }
}

export interface DataOptions {
  signal?: AbortSignal
  /** ms since 1970; by then it must be here */
  expires?: number
}

/** Data that specs name by CID. */
export function createDataAccess({ signal: stopping }: { signal: AbortSignal }, components: DataComponents) {
  const { blocks, datasets } = components

  function blockstore(): Blocks {
    if (components.blockstore == null)
      throw new SpecError('cid', 'this node has no block store; give the data inline')
    return components.blockstore
  }

  const soon = ({ signal, expires = Number.POSITIVE_INFINITY }: DataOptions = {}): AbortSignal =>
    AbortSignal.any([
      stopping,
      AbortSignal.timeout(Math.max(0, Math.min(DATA_TIMEOUT_MS, Math.ceil(expires - Date.now())))),
      ...(signal ? [signal] : [])
    ])

  /** The items as the type of the spec takes them. */
  async function listOf(
    items: DatasetItems,
    { type }: { type?: unknown },
    { signal }: { signal: AbortSignal }
  ) {
    if (takesDatasets(type)) return items
    const { bytes } = items.dataset
    if (bytes > MAX_WHOLE_BYTES)
      throw new SpecError(
        'items',
        `is a dataset of ${bytes} bytes; ${type} takes at most ${MAX_WHOLE_BYTES} of one`
      )
    return decodeValue(await datasets.whole(items, { signal })) as unknown[]
  }

  return {
    blockstore,

    /** `parse`: what checks the spec once its data is there. */
    async resolve<T extends object>(
      input: unknown,
      parse: (input: unknown) => T,
      options?: DataOptions
    ): Promise<Resolved<T>> {
      const dataset = datasetIn(input)
      const found = findReferences(input)
      if (found.length === 0 && dataset == null) {
        const spec = parse(input)
        return { spec, stored: spec, bytes: 0 }
      }
      const how = { signal: soon(options), streamed: STREAMED }
      const { spec, data, bytes } =
        found.length === 0
          ? { spec: input as object, data: undefined, bytes: 0 }
          : await resolveInputs(input as object, found, blockstore(), how)
      if (dataset == null) {
        const parsed = parse(spec)
        return { spec: parsed, stored: withReferences(parsed, found), data, bytes }
      }
      const items = datasets.items(dataset, spec)
      const parsed = parse({ ...spec, items: await listOf(items, spec, how) })
      const all: FoundReference[] = [...found, [['items'], dataset as never]]
      return { spec: parsed, stored: withReferences(parsed, all), data, bytes: bytes + items.dataset.bytes }
    },

    /** `expires`: of its root; each block has its own time. */
    async open(cid: string, options: DataOptions = {}): Promise<DataStream> {
      const own = blockstore()
      const data = await openData(own, cid, { signal: soon(options) })
      return { size: data.size, chunks: chunksOf(own, data, () => soon({ signal: options.signal })) }
    },

    /** Puts the data that a spec names by CID into this node's block store, from a peer. */
    async copy(spec: unknown, from: string, { signal }: { signal: AbortSignal }): Promise<void> {
      for (const [, { cid }] of findReferences(spec)) {
        const own = blockstore()
        const copy = async (part: CID): Promise<void> => {
          if (await own.has(part)) return
          await own.put(part, await blocks.get(from, part.multihash.digest, { signal }))
        }
        await copy(readCid(cid)!)
        const { chunks } = await openData(own, cid, { signal })
        for (const chunk of chunks) await copy(chunkCid(chunk))
      }
    }
  }
}

export type DataAccess = ReturnType<typeof createDataAccess>
