import type { MessageStreamDirection } from '@libp2p/interface'
import type { FrameRule } from './follow-frames.ts'

const KIB = 1024
/** Largest message of bitswap: what its library sends at most. */
const BITSWAP_BYTES = 4 * KIB * KIB
/** Names of protocols have at most so many bytes in multistream-select. */
const MAX_NAME_BYTES = KIB
const MULTISTREAM = ['/multistream/1.0.0', 'na', 'ls']

/** Nothing is said in this direction. */
const SILENT: FrameRule = { maxBytes: -1 }
const ONE_MESSAGE: FrameRule = { maxBytes: 4 * KIB, next: () => undefined }

export interface LibraryRule extends FrameRule {
  /** messages are protobuf whose fields are counted, with those of the message in the field of this number */
  nestedField?: number
}

/**
 * What a peer may send over a protocol that a library reads, by who opened the stream: the libraries look for the end of a length
 * as far as there are bytes, and decode all messages that have come at once. undefined: a protocol of ours, which keeps to
 * `framing.ts` itself.
 */
export function ruleOf(
  protocol: string,
  direction: MessageStreamDirection,
  { gossipBytes }: { gossipBytes: number }
): LibraryRule | undefined {
  const isAsked = direction === 'inbound'
  if (/^\/(meshsub|floodsub)\//.test(protocol)) return isAsked ? { maxBytes: gossipBytes } : SILENT
  if (protocol.startsWith('/ipfs/bitswap/')) {
    // its decoder has no limit to what a message lists: blocks, and wants in its first field
    return isAsked ? { maxBytes: BITSWAP_BYTES, nestedField: 1 } : SILENT
  }
  // twenty peers and twenty providers with their addresses
  if (protocol.endsWith('/kad/1.0.0')) return { maxBytes: 128 * KIB }
  switch (protocol) {
    case '/ipfs/id/1.0.0':
      return isAsked ? SILENT : { maxBytes: 8 * KIB }
    case '/ipfs/id/push/1.0.0':
      return isAsked ? { maxBytes: 8 * KIB } : SILENT
    case '/ipfs/ping/1.0.0':
      return { maxBytes: 32, fixedBytes: 32 }
    case '/libp2p/autonat/1.0.0':
      return { maxBytes: 8 * KIB }
    case '/libp2p/dcutr':
      return { maxBytes: 4 * KIB }
    // what follows are the bytes of a connection
    case '/libp2p/circuit/relay/0.2.0/hop':
    case '/libp2p/circuit/relay/0.2.0/stop':
      return ONE_MESSAGE
  }
  return undefined
}

/** multistream-select, until a protocol is named that `then` knows: its rule holds from there on. null: go on. */
export function negotiation(
  then: (protocol: string) => FrameRule | undefined | null,
  onLength?: FrameRule['onLength']
): FrameRule {
  const rule: FrameRule = {
    maxBytes: MAX_NAME_BYTES,
    onLength,
    next(frame) {
      // read as the library reads it: a name that only one of the two knows would end the negotiation for that one alone
      const name = Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('utf8').trimEnd()
      const agreed = MULTISTREAM.includes(name) ? null : then(name)
      return agreed === null ? rule : agreed
    }
  }
  return rule
}
