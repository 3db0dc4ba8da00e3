import { z } from 'zod'
import { messages, type Peers } from '../../../services/devices/messages.ts'
import { declare, type HostOf, service } from '../../../services/host/index.ts'

const declaration = declare({
  name: 'devices',
  version: 1,
  summary: 'says to nodes of the service devices whatever it likes',
  config: z.object({}),
  operations: {},
  messages,
  errors: {}
})

/** A node that keeps to no rule: it asks others whatever it likes. */
export function createForger() {
  let host: HostOf<typeof declaration> | undefined
  return {
    module: service(declaration, async () => given => {
      host = given
      const nobody = () => Promise.reject(new Error('nobody answers here'))
      return {
        operations: {},
        messages: Object.fromEntries(Object.keys(messages).map(each => [each, nobody])) as never
      }
    }),
    ask: ((peer, kind, request) => host!.peers.ask(peer, kind, request as never)) as Peers['ask']
  }
}
