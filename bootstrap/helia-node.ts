import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { HeliaWithLibp2p } from '@helia/libp2p'
import * as dagCbor from '@ipld/dag-cbor'
import type { ComponentLogger, Libp2p } from '@libp2p/interface'
import { LevelBlockstore } from 'blockstore-level'
import { LevelDatastore } from 'datastore-level'
import { type Datastore, Key } from 'interface-datastore'
import type { Libp2pOptions } from 'libp2p'
import { ListenError } from './errors.ts'
import type { ArtelServices } from './libp2p-options.ts'

export interface HeliaNode {
  helia: HeliaWithLibp2p<ArtelServices>
  libp2p: Libp2p<ArtelServices>
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
 * Starts Helia with our libp2p and LevelDB stores. Never `createHelia()`: its defaults dial public nodes.
 *
 * @throws {ListenError} an address cannot be listened on
 */
export async function createHeliaNode(init: HeliaNodeInit): Promise<HeliaNode> {
  // loaded late: a third of a second that commands which start no node need not wait
  const { createHeliaLight } = await import('helia')
  const { withLibp2pLight } = await import('@helia/libp2p')
  const { withBitswap } = await import('@helia/bitswap')
  const stores = init.folder == null ? undefined : await openStores(init.folder)
  const light = createHeliaLight({
    ...stores,
    codecs: [dagCbor],
    ...(init.logger == null ? {} : { logger: init.logger })
  })
  const helia = withBitswap<ArtelServices>(withLibp2pLight(light, init.libp2p))
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await helia.stop()
    await stores?.blockstore.close()
    await stores?.datastore.close()
  }
  try {
    await helia.start()
  } catch (error) {
    await stop()
    throw listenError(error as Error, init.libp2p.addresses?.listen ?? [])
  }
  return {
    helia,
    libp2p: helia.libp2p,
    stop: () => {
      stopping ??= stop()
      return stopping
    }
  }
}

async function openStores(
  folder: string
): Promise<{ blockstore: LevelBlockstore; datastore: LevelDatastore }> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const blockstore = new LevelBlockstore(join(folder, 'blocks'))
  const datastore = new LevelDatastore(join(folder, 'datastore'))
  await blockstore.open()
  await datastore.open()
  await forgetProviders(datastore)
  return { blockstore, datastore }
}

/** Provider records are hints of half an hour; kad-dht would go on announcing what an earlier run offered. */
async function forgetProviders(datastore: Datastore): Promise<void> {
  for await (const key of datastore.queryKeys({ prefix: '/dht/provider/' })) {
    await datastore.delete(new Key(key.toString()))
  }
}

function listenError(error: Error, listen: string[]): Error {
  if (error.name !== 'UnsupportedListenAddressesError') return error
  const addresses = listen.filter(address => error.message.includes(`${address}:`)).join(', ')
  const reason = error.message.includes('EADDRINUSE')
    ? 'the port is in use; stop the program that has it, or choose another with --listen'
    : 'check the address, or choose another with --listen'
  return new ListenError(`cannot listen on ${addresses || listen.join(', ')}: ${reason}`)
}
