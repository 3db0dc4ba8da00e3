import { streamPair } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'

/** Something that takes bytes of strangers. */
export interface Target {
  /** inputs as they are meant, which changes begin from */
  real: readonly Uint8Array[]
  /** names of the errors with which it refuses; every other one is a fault */
  refuses: readonly string[]
  /** Takes one input; asserts what must hold of it then. */
  take(bytes: Uint8Array): unknown
  close?(): Promise<unknown>
}

/** Whether an input does no harm: it is taken, or refused by name. Throws what was wrong. */
export async function isHarmless({ take, refuses }: Target, bytes: Uint8Array): Promise<void> {
  try {
    await take(bytes)
  } catch (error) {
    if (!refuses.includes((error as Error).name)) throw error
  }
}

const remoteAddr = multiaddr('/ip4/127.0.0.1/tcp/1')

/** Both ends of a stream, also after 65,535 of them: left to itself, the library gives each a port of its own. */
export const openStream = () =>
  streamPair({ outboundConnection: { remoteAddr }, inboundConnection: { remoteAddr } })
