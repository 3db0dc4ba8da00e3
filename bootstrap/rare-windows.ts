import type { Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'

/** Such a part of its window may come before the peer is told that there is room again: 16 KiB of the smallest. */
const UNTOLD_PART = 1 / 16
// States of yamux’s streams whose next frame carries a flag.
const INIT = 0
const SYN_RECEIVED = 2

/**
 * Small messages are not answered one by one. yamux tells its peer after every frame of data that there is room for as
 * much again, which costs both ends what a small message costs: encryption, a system call, a packet, a wake-up.
 */
export function rareWindows<Components>(
  create: (components: Components) => StreamMuxerFactory
): (components: Components) => StreamMuxerFactory {
  return components => {
    const factory = create(components)
    const { createStreamMuxer } = factory
    factory.createStreamMuxer = connection => {
      const muxer = createStreamMuxer.call(factory, connection) as YamuxMuxer
      const { createStream, onRemoteStream } = muxer
      muxer.createStream = async options => tellingRarely(await createStream.call(muxer, options))
      muxer.onRemoteStream = stream => onRemoteStream.call(muxer, tellingRarely(stream))
      return muxer
    }
    return factory
  }
}

function tellingRarely<S extends Stream>(stream: S): S {
  const yamux = stream as unknown as YamuxStream
  const { sendWindowUpdate } = yamux
  yamux.sendWindowUpdate = () => {
    // what opens a stream or takes one goes in any case
    const isNew = yamux.state === INIT || yamux.state === SYN_RECEIVED
    if (!isNew && yamux.recvWindow - yamux.recvWindowCapacity < yamux.recvWindow * UNTOLD_PART) return
    sendWindowUpdate.call(yamux)
  }
  return stream
}

interface YamuxMuxer extends StreamMuxer {
  onRemoteStream(stream: Stream): void
}

/** What yamux's streams have beside their interface. */
interface YamuxStream {
  state: number
  recvWindow: number
  recvWindowCapacity: number
  sendWindowUpdate(): void
}
