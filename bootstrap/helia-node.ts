import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { HeliaWithLibp2p } from '@helia/libp2p'
import * as dagCbor from '@ipld/dag-cbor'
import type { ComponentLogger, Libp2p } from '@libp2p/interface'
import type { createHeliaLight, Router } from 'helia'
import type { Libp2pOptions } from 'libp2p'
import { openLevel } from './files.ts'
import { forgetProviders, listenError } from './first-steps.ts'
import { LargeBlocks } from './large-blocks.ts'
import type { ArtelServices } from './libp2p-options.ts'
import { PeerMemory } from './peer-memory.ts'

export interface HeliaNode {
  helia: HeliaWithLibp2p<ArtelServices>
  libp2p: Libp2p<ArtelServices>
  /**
   * Lets protocols that were registered since the start meet the peers that are connected already: libp2p tells
   * a protocol only of peers that are identified after its registration, so these are identified once more.
   */
  meetPeers(): Promise<void>
  /** Ends libp2p and Helia, then closes the stores. Idempotent. */
  stop(): Promise<void>
}

export interface HeliaNodeInit {
  libp2p: Libp2pOptions<ArtelServices>
  /** where blocks and the datastore live; without it both are in memory */
  folder?: string
  logger?: ComponentLogger
}

/**
 * Starts libp2p, and Helia over it, with LevelDB stores. Never `createHelia()`: its defaults dial public nodes.
 *
 * @throws {ListenError} an address cannot be listened on
 */
export async function createHeliaNode(init: HeliaNodeInit): Promise<HeliaNode> {
  const { Helia, libp2pRouting, withBitswap, createLibp2p } = await loadModules()
  const stores = init.folder == null ? undefined : await openStores(init.folder)
  const libp2p = await createLibp2p<ArtelServices>({
    ...(stores == null ? {} : { datastore: stores.datastore }),
    ...init.libp2p,
    start: false
  })
  const helia = new Helia({
    name: 'artel',
    version: init.libp2p.nodeInfo?.version ?? '0',
    ...stores,
    codecs: [dagCbor],
    routers: [libp2pRouting(libp2p)],
    ...(init.logger == null ? {} : { logger: init.logger })
  })
  const complete = withBitswap<ArtelServices>(Object.assign(helia, { libp2p }))
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await helia.stop()
    await libp2p.stop()
    await stores?.blockstore.close()
    await stores?.datastore.close()
  }
  try {
    await libp2p.start()
    await helia.start()
    libp2p.services.seedKeeper.connect()
  } catch (error) {
    await stop()
    throw listenError(error as Error, init.libp2p.addresses?.listen ?? [])
  }
  return {
    helia: complete,
    libp2p,
    async meetPeers() {
      const { identify } = libp2p.services
      // one that has gone meanwhile is no news
      await Promise.allSettled(libp2p.getConnections().map(connection => identify.identify(connection)))
    },
    stop: () => {
      stopping ??= stop()
      return stopping
    }
  }
}

/**
 * Helia's class and its libp2p router, from their own files: the entries of `helia` and `@helia/libp2p` also load
 * WebRTC, HTTP, TLS and UPnP for defaults that we never use, which is 60 MB resident and a third of a second.
 * Loaded late, because commands that start no node need none of it. Every test with a node holds the two paths.
 */
async function loadModules() {
  const fileOf = (name: string, file: string): string => new URL(file, import.meta.resolve(name)).href
  const [{ Helia }, { libp2pRouting }, { withBitswap }, { createLibp2p }] = await Promise.all([
    import(fileOf('helia', './helia.js')),
    import(fileOf('@helia/libp2p', './routing.js')),
    import('@helia/bitswap'),
    import('libp2p')
  ])
  type HeliaInit = NonNullable<Parameters<typeof createHeliaLight>[0]> & { name: string; version: string }
  return {
    Helia: Helia as new (init: HeliaInit) => ReturnType<typeof createHeliaLight>,
    libp2pRouting: libp2pRouting as (libp2p: Libp2p<ArtelServices>) => Router,
    withBitswap,
    createLibp2p
  }
}

// Blocks of a MiB that hardly compress: with LevelDB's own sizes each would be written many times over. Measured on
// blocks of a MiB: 154 MB/s instead of 23.
const BLOCKS = { writeBufferSize: 64 << 20, maxFileSize: 64 << 20, compression: false }

async function openStores(folder: string): Promise<{ blockstore: LargeBlocks; datastore: PeerMemory }> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const [blocks, data] = [join(folder, 'blocks'), join(folder, 'datastore')]
  const blockstore = new LargeBlocks(blocks, join(folder, 'block-files'), BLOCKS)
  const datastore = new PeerMemory(data)
  await openLevel(blockstore, blocks)
  await openLevel(datastore, data)
  await forgetProviders(datastore)
  return { blockstore, datastore }
}
