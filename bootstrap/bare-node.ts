import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { createLibp2p } from 'libp2p'
import { openLevel } from './files.ts'
import { forgetProviders, listenError } from './first-steps.ts'
import type { HeliaNodeInit } from './helia-node.ts'
import type { ArtelServices } from './libp2p-options.ts'
import { PeerMemory } from './peer-memory.ts'

/** Addresses of peers are all that it keeps: the 8 MB that it takes for reading and twice 4 for writing are for more. */
const LEVEL = { cacheSize: 1 << 19, writeBufferSize: 1 << 19 }

/**
 * Starts libp2p alone, for a node that keeps no blocks: it costs a third of what comes with Helia.
 *
 * @throws {ListenError} an address cannot be listened on
 */
export async function createBareNode({
  folder,
  libp2p: options
}: Omit<HeliaNodeInit, 'folder'> & { folder: string }): Promise<{
  libp2p: Libp2p<ArtelServices>
  stop(): Promise<void>
}> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const place = join(folder, 'datastore')
  const datastore = new PeerMemory(place, LEVEL)
  await openLevel(datastore, place)
  await forgetProviders(datastore)
  const libp2p = await createLibp2p<ArtelServices>({ datastore, ...options, start: false })
  const stop = async (): Promise<void> => {
    await libp2p.stop()
    await datastore.close()
  }
  try {
    await libp2p.start()
    libp2p.services.seedKeeper.connect()
  } catch (error) {
    await stop()
    throw listenError(error as Error, options.addresses?.listen ?? [])
  }
  return { libp2p, stop }
}
