import type { Answer, Host, HostOf, Request } from '../../host/index.ts'
import type { declaration } from '../declaration.ts'
import type { Chunk } from '../machines/content.ts'
import type { messages } from './messages.ts'

type Messages = typeof messages
type Questions = 'moveBegin' | 'moveKnown' | 'moveRelease' | 'moveAbort'

/** What the two sides of a move use of the network. */
export interface MoveWire {
  readonly self: string
  sign: Host['sign']
  isSigned: Host['isSigned']
  ask<K extends Questions>(peer: string, name: K, request: Request<Messages[K]>): Promise<Answer<Messages[K]>>
  /** Sends a layer, and waits until the peer has it whole; its content as the peer has it. */
  send(peer: string, request: Request<Messages['moveLayer']>, chunks: AsyncIterable<Chunk>): Promise<string>
}

/** The same over the streams of the host. */
export function moveWire(host: HostOf<typeof declaration>): MoveWire {
  return {
    self: host.peers.self,
    sign: host.sign,
    isSigned: host.isSigned,
    ask: (peer, name, request) => host.peers.ask(peer, name, request as never) as never,
    async send(peer, request, chunks) {
      const exchange = host.peers.open(peer, 'moveLayer', request)
      // what the peer has against it ends the sending
      const refused = exchange.answer.then(() => undefined)
      refused.catch(() => {})
      for await (const chunk of chunks) await Promise.race([exchange.send(chunk), refused])
      await exchange.end()
      return (await exchange.answer).cid
    }
  }
}
