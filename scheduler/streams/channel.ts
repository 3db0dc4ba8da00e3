import type { Logger, Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { z } from 'zod'
import { frame, readFrames } from '../../bootstrap/framing.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { giveBack, hasOwnMemory } from '../data/give-back.ts'
import { encodeInPieces, isLarge } from '../data/value-bytes.ts'
import { ProtocolError } from '../errors.ts'
import {
  type FromRequester,
  type FromWorker,
  fromRequester,
  fromWorker
} from '../protocol/compute-messages.ts'
import { MAX_FRAME_BYTES, MAX_MESSAGE_VALUES } from '../protocol/limits.ts'
import type { PeerCosts } from '../protocol/peer-costs.ts'

/** What one malformed message counts for at least: honest peers send none. */
const MALFORMED_MS = 100

/** Of this thread: a machine that does other things, or a process that was stopped, is not the peer's fault. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Either end of a compute stream. */
export interface Channel<Out> {
  /** Queues a message; resolves when the stream can take more. Never rejects: a lost stream is told by `onClose`. */
  send(message: Out): Promise<void>
  close(): void
}

interface ChannelInit<In> {
  peer: string
  costs: PeerCosts
  /** `spentMs`: what it took to read the message, for who finds that it came to nothing */
  onMessage(message: In, spentMs: number): void
  /** called exactly once */
  onClose(error?: Error): void
  log: Logger
}

export const openWorkerChannel = (stream: Stream, init: ChannelInit<FromRequester>): Channel<FromWorker> =>
  open(stream, fromRequester, init)
export const openRequesterChannel = (stream: Stream, init: ChannelInit<FromWorker>): Channel<FromRequester> =>
  open(stream, fromWorker, init)

function open<In, Out extends FromRequester | FromWorker>(
  stream: Stream,
  schema: z.ZodType<In>,
  { peer, costs, onMessage, onClose, log }: ChannelInit<In>
): Channel<Out> {
  let isOpen = true
  /** bytes of the message that is coming in */
  let coming = 0

  const arrived = (): void => {
    costs.free(peer, coming)
    coming = 0
  }
  const end = (error?: Error): void => {
    if (!isOpen) return
    isOpen = false
    arrived()
    onClose(error)
  }
  readFrames(stream, {
    maxBytes: MAX_FRAME_BYTES,
    onLength(bytes) {
      if (!costs.keep(peer, bytes))
        throw new ProtocolError(`a message of ${bytes} bytes is more than this node keeps for one peer`)
      coming = bytes
    },
    onFrame(bytes) {
      arrived()
      const started = cpuMs()
      let isShared = false
      // what keeps a part of it has to be able to give all of it back
      const onShared = hasOwnMemory(bytes)
        ? () => {
            isShared = true
          }
        : undefined
      const message = read(bytes, onShared)
      if (!isShared) giveBack(bytes)
      if (!isOpen) return
      try {
        onMessage(message, cpuMs() - started)
      } catch (err) {
        // ours, not the peer's: its stream goes on
        log.error('a message of %s was not handled: %e', peer, err)
      }
    },
    onEnd(error) {
      if (error != null && isOpen) log('the compute stream of %s ended: %s', peer, error.message)
      end(error)
    }
  })

  function read(bytes: Uint8Array, onShared?: () => void): In {
    const started = cpuMs()
    try {
      const parsed = schema.safeParse(decodeValue(bytes, { maxItems: MAX_MESSAGE_VALUES, onShared }))
      if (parsed.success) return parsed.data
      const [issue] = parsed.error.issues
      throw new ProtocolError(`malformed message: ${issue?.path.join('.')} ${issue?.message}`)
    } catch (err) {
      log.error('%s breaks the compute protocol: %s', peer, (err as Error).message)
      costs.waste(peer, Math.max(MALFORMED_MS, cpuMs() - started))
      throw err
    }
  }

  return {
    async send(message) {
      if (!isOpen) return
      try {
        if (!stream.send(frame(encode(message), MAX_FRAME_BYTES))) await stream.onDrain()
      } catch (err) {
        stream.abort(err as Error)
        end(err as Error)
      }
    },
    close() {
      if (!isOpen) return
      end()
      stream.close().catch(err => stream.abort(err))
    }
  }
}

/** What is large is not copied: it is what most of a message is. */
function encode(message: FromRequester | FromWorker): Uint8Array | Uint8ArrayList {
  return hasLarge(message) ? new Uint8ArrayList(...encodeInPieces(message)) : encodeValue(message)
}

function hasLarge(message: FromRequester | FromWorker): boolean {
  switch (message.t) {
    case 'load':
      return isLarge(message.source) || isLarge(message.context)
    case 'lease':
      return message.slices.some(({ inputs }) => inputs.some(isLarge))
    case 'result':
      return message.slices.some(({ outcomes }) => outcomes.some(isLarge))
    default:
      return false
  }
}
