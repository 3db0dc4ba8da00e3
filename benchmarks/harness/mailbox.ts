import { messenger, OWNER } from '../../services/index.ts'
import { createTestDirectory, startHost } from '../../test/services/host/start-host.ts'

/*
 * A node that founds a school and keeps its mail, as a process of its own. Its parent sends { id, operation, input } and
 * gets { id, result } or { id, error }.
 */

const host = await startHost({ modules: [messenger], directory: createTestDirectory() })
process.on('message', ({ id, operation, input }: { id: number; operation: string; input: object }) => {
  void host.services.call('messenger', operation, input as never, { caller: OWNER }).then(
    result => process.send!({ id, result }),
    ({ message }: Error) => process.send!({ id, error: message })
  )
})
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => void host[Symbol.asyncDispose]().then(() => process.exit(0)))
while (host.services.health().some(({ state }) => state === 'starting'))
  await new Promise(resolve => setTimeout(resolve, 20))
process.send!({ ready: host.libp2p.getMultiaddrs().map(String) })
