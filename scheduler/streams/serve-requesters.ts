import type { Logger } from '@libp2p/interface'
import { COMPUTE_PROTOCOL, type FromWorker } from '../protocol/compute-messages.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { PeerCosts } from '../protocol/peer-costs.ts'
import type { WorkerConnection, WorkerEnd } from '../protocol/worker-end.ts'
import { type Channel, openWorkerChannel } from './channel.ts'

// One stream per peer and direction; the second place is for a reconnect that overtakes the old stream's end.
export const MAX_STREAMS = 2

/** Gives every stream that a requester opens to the worker, until the protocol is unhandled. */
export async function serveRequesters(
  network: Pick<ComputeNetwork, 'handle'>,
  { worker, costs, log }: { worker: WorkerEnd; costs: PeerCosts; log: Logger }
): Promise<void> {
  await network.handle(
    COMPUTE_PROTOCOL,
    (stream, connection) => {
      const peer = connection.remotePeer.toString()
      let requester: WorkerConnection | undefined
      let isOpen = true
      const channel: Channel<FromWorker> = openWorkerChannel(stream, {
        peer,
        costs,
        log,
        onMessage: (message, spentMs) => requester?.receive(message, spentMs),
        onClose() {
          isOpen = false
          requester?.close()
        }
      })
      requester = worker.connect(peer, message => void channel.send(message))
      // the stream may have ended with the first offer
      if (!isOpen) requester.close()
    },
    { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS }
  )
}
