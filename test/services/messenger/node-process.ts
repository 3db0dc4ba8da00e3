import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { loadOrCreateIdentity } from '../../../bootstrap/index.ts'
import { createTestDirectory } from '../host/start-host.ts'
import { startNode } from './school.ts'

/*
 * A node of a school as a process of its own, to be killed; the same folder is the same node. Its parent sends
 * { id, operation, input } and gets { id, result } or { id, error }; `dial` and `unread` are of this process.
 */

const [folder] = process.argv.slice(2) as [string]
const lines: string[] = []
const identity = await loadOrCreateIdentity(join(folder, 'key'))
const node = await startNode(createTestDirectory(), { folder, identity, lines })

const own: Record<string, (input: any) => unknown> = {
  dial: (addresses: string[]) =>
    node.libp2p.dial(addresses.map(each => multiaddr(each))).then(() => undefined),
  /** how many envelopes could not be read */
  unread: () => lines.filter(line => line.includes('is not read')).length
}
process.on('message', ({ id, operation, input }: { id: number; operation: string; input: never }) => {
  void Promise.resolve((own[operation] ?? (given => node.call(operation, given)))(input)).then(
    result => process.send!({ id, result }),
    ({ name, message }: Error) => process.send!({ id, error: `${name}: ${message}` })
  )
})
process.on('disconnect', () => process.exit(1))
process.send!({ id: 0, result: node.libp2p.getMultiaddrs().map(String) })
