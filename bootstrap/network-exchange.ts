import type { ComponentLogger, Startable, Stream } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { framed } from './framing.ts'
import { MAX_NETWORK_BYTES, type NetworkDefinition } from './network.ts'

export const NETWORK_PROTOCOL = '/artel/network/1.0.0'
export const ANSWER_TIMEOUT_MS = 5_000
const MAX_STREAMS = 4

/** A libp2p service that tells the signed network definition to who knows only this node's address. */
export function networkExchange(
  network: NetworkDefinition
): (components: { registrar: Registrar; logger: ComponentLogger }) => Startable {
  const bytes = Buffer.from(JSON.stringify(network))
  return ({ registrar, logger }) => {
    const log = logger.forComponent('artel:network')
    const answer = async (stream: Stream): Promise<void> => {
      const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
      try {
        await framed(stream, MAX_NETWORK_BYTES).write(bytes, { signal })
        await stream.close({ signal })
      } catch (error) {
        log('could not send the network definition: %s', (error as Error).message)
        stream.abort(error as Error)
      }
    }
    return {
      start: () => registrar.handle(NETWORK_PROTOCOL, answer, { maxInboundStreams: MAX_STREAMS }),
      stop: () => registrar.unhandle(NETWORK_PROTOCOL)
    }
  }
}
