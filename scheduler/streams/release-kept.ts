import type { Connection, Logger, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { framed } from '../../bootstrap/framing.ts'
import { encodeValue } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import { MAX_RELEASE_BYTES, RELEASE_PROTOCOL, readReleaseRequest } from '../protocol/release-messages.ts'

const TIMEOUT_MS = 10_000
const MAX_STREAMS = 2

/** Tells workers that datasets are not needed any more, and hears it as a worker. */
export function createReleases({
  network,
  stays,
  log
}: {
  network: Pick<ComputeNetwork, 'peerId' | 'handle' | 'unhandle' | 'dialProtocol'>
  /** what this node keeps as a worker; bytes that were removed */
  stays: { release(requester: string, jobs: readonly string[]): number }
  log: Logger
}) {
  const controller = new AbortController()
  const deadline = (): AbortSignal => AbortSignal.any([controller.signal, AbortSignal.timeout(TIMEOUT_MS)])

  const serve: StreamHandler = async (stream: Stream, connection: Connection) => {
    const requester = connection.remotePeer.toString()
    const signal = deadline()
    try {
      const messages = framed(stream, MAX_RELEASE_BYTES)
      const asked = readReleaseRequest((await messages.read({ signal })).subarray())
      if (asked == null) throw new ProtocolError(`malformed release of ${requester}`)
      await messages.write(encodeValue({ bytes: stays.release(requester, asked.jobs) }), { signal })
      await stream.close({ signal })
    } catch (err) {
      log('a release of %s ended: %s', requester, (err as Error).message)
      stream.abort(err as Error)
    }
  }

  return {
    /** Whoever cannot be told lets go by itself when nothing was used for its time. Throws what libp2p throws. */
    async release(holder: string, jobs: readonly string[]): Promise<void> {
      const self = network.peerId.toString()
      if (holder === self) {
        stays.release(self, jobs)
        return
      }
      const signal = deadline()
      const stream = await network.dialProtocol(peerIdFromString(holder), RELEASE_PROTOCOL, { signal })
      try {
        const messages = framed(stream, MAX_RELEASE_BYTES)
        await messages.write(encodeValue({ jobs }), { signal })
        await messages.read({ signal })
        await stream.close({ signal })
      } catch (err) {
        stream.abort(err as Error)
        throw err
      }
    },

    start: (): Promise<void> =>
      network.handle(RELEASE_PROTOCOL, serve, {
        maxInboundStreams: MAX_STREAMS,
        maxOutboundStreams: MAX_STREAMS
      }),

    async stop(): Promise<void> {
      controller.abort()
      await network.unhandle(RELEASE_PROTOCOL)
    }
  }
}

export type Releases = ReturnType<typeof createReleases>
