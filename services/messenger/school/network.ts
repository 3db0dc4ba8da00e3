import type { z } from 'zod'
import type { AskOptions, Peers as HostPeers, PeerCall } from '../../host/index.ts'
import type { Messages } from '../messages.ts'
import type { IsSigned } from './decide.ts'

type Kind = keyof Messages & string
type Request<K extends Kind> = z.input<Messages[K]['request']>
type Answer<K extends Kind> = z.output<Messages[K]['answer']>
/** What this node answers itself, so that a mailbox on the own node needs no connection. */
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
      const call = { peer, signal: options?.signal ?? signal, send: async () => undefined, received: none() }
      return (await own()[kind](request as never, call as never)) as never
    },
    open: peers.open,
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

async function* none(): AsyncGenerator<never> {}
