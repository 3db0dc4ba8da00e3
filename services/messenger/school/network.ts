import type { z } from 'zod'
import type { AskOptions, Exchange, Peers as HostPeers, PeerCall } from '../../host/index.ts'
import type { Messages } from '../messages.ts'
import type { IsSigned } from './decide.ts'

type Kind = keyof Messages & string
type Request<K extends Kind> = z.input<Messages[K]['request']>
type Answer<K extends Kind> = z.output<Messages[K]['answer']>
/** What this node answers itself, so that a mailbox or another person on the own node needs no connection. */
export type Handlers = { [K in Kind]: (request: never, call: PeerCall<never, never>) => unknown }

/** The nodes of the school, this one among them. */
export interface Network {
  readonly self: string
  readonly isSigned: IsSigned
  ask<K extends Kind>(peer: string, kind: K, request: Request<K>, options?: AskOptions): Promise<Answer<K>>
  open: HostPeers<Messages>['open']
  /** These first, then others that offer the service; each once. */
  others(first: readonly string[]): AsyncIterable<string>
}

const FIND_MS = 5_000

export function createNetwork(
  peers: HostPeers<Messages>,
  isSigned: IsSigned,
  own: () => Handlers,
  signal: AbortSignal
): Network {
  return {
    self: peers.self,
    isSigned,
    async ask(peer, kind, request, options) {
      if (peer !== peers.self) return peers.ask(peer, kind, request, options) as never
      return (await openHere(own()[kind], request, peer, options?.signal ?? signal).answer) as never
    },
    open: (peer, kind, request, options) =>
      peer === peers.self
        ? (openHere(own()[kind], request, peer, options?.signal ?? signal) as never)
        : peers.open(peer, kind, request, options),
    async *others(first) {
      const seen = new Set([peers.self])
      for (const peer of first) {
        if (seen.has(peer)) continue
        seen.add(peer)
        yield peer
      }
      for await (const peer of peers.find({ signal, deadlineMs: FIND_MS })) {
        if (seen.has(peer)) continue
        seen.add(peer)
        yield peer
      }
    }
  }
}

/** An exchange with the own node. */
function openHere(
  handle: Handlers[Kind],
  request: unknown,
  peer: string,
  signal: AbortSignal
): Exchange<unknown, unknown, unknown> {
  const [items, sends] = [new TransformStream<unknown>(), new TransformStream<unknown>()]
  const [toAsker, toAnswerer] = [items.writable.getWriter(), sends.writable.getWriter()]
  // who reads no further wants no more
  const gone = (): undefined => undefined
  async function run(): Promise<unknown> {
    try {
      const call = { peer, signal, send: (item: unknown) => toAsker.write(item), received: sends.readable }
      const answer = await handle(request as never, call as never)
      toAsker.close().catch(gone)
      return answer
    } catch (error) {
      toAsker.abort(error).catch(gone)
      throw error
    }
  }
  const answer = run()
  // who only reads the items learns of it there
  answer.catch(gone)
  return {
    items: items.readable,
    answer,
    send: value => toAnswerer.write(value),
    end: () => toAnswerer.close()
  }
}
