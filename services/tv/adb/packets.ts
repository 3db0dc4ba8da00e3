import type { Socket } from 'node:net'
import type { AdbDaemonConnection, AdbPacketData, AdbPacketInit } from '@yume-chan/adb'
import { type Consumable, ReadableStream, WritableStream } from '@yume-chan/stream-extra'
import { TvProtocolError } from '../errors.ts'

/** "STLS": let us go on with TLS; the answer is the same */
const START_TLS = 0x534c5453
const START_TLS_VERSION = 0x01000000
const HEADER_BYTES = 24
/** what this side offers at most, and so the most that a TV may send in one packet */
const MAX_PAYLOAD_BYTES = 1024 * 1024

/**
 * ADB's packets on a TCP connection. Ends with the socket; what is no packet destroys it.
 *
 * @param secure goes on with TLS where the TV asks for it in place of its first packet; the library, whose question is
 *   answered afterwards, does not see that
 */
export function packetsOn(socket: Socket, secure: (socket: Socket) => Socket): AdbDaemonConnection {
  let wire = socket
  const readable = new ReadableStream<AdbPacketData>({
    start(controller) {
      let isFirst = true
      function take(from: Socket): () => void {
        const read = createPacketReader()
        const onData = (chunk: Buffer): void => {
          try {
            for (const packet of read(chunk)) {
              const isAsked = isFirst && packet.command === START_TLS
              isFirst = false
              if (!isAsked) controller.enqueue(packet)
              else {
                goSecure()
                break
              }
            }
          } catch (error) {
            socket.destroy(error as Error)
          }
          if ((controller.desiredSize ?? 0) < 0) from.pause()
        }
        const onError = (error: Error): void => controller.error(error)
        const onClose = (): void => {
          // an error has ended it already
          if (from.errored == null) controller.close()
        }
        from.on('data', onData).on('error', onError).once('close', onClose)
        return () => void from.off('data', onData).off('error', onError).off('close', onClose)
      }
      function goSecure(): void {
        leave()
        socket.write(packetOf({ command: START_TLS, arg0: START_TLS_VERSION }))
        wire = secure(socket)
        take(wire)
      }
      const leave = take(socket)
    },
    pull: () => void wire.resume(),
    // who reads has seen a packet that the protocol does not have there
    cancel: reason =>
      void socket.destroy(new TvProtocolError(`the TV broke the protocol: ${(reason as Error).message}`))
  })
  const writable = new WritableStream<Consumable<AdbPacketInit>>({
    write: packet => packet.tryConsume(each => write(wire, each)),
    close: () => void socket.destroy(),
    abort: () => void socket.destroy()
  })
  return { readable, writable }
}

/**
 * Cuts bytes into packets. The bytes of one are kept as they came and joined once.
 *
 * @throws {TvProtocolError} from the generator, at what is no packet
 */
export function createPacketReader(): (chunk: Buffer) => Generator<AdbPacketData> {
  let chunks: Buffer[] = []
  let held = 0
  let wanted = HEADER_BYTES

  return function* read(chunk) {
    chunks.push(chunk)
    held += chunk.length
    while (held >= wanted) {
      const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, held)
      const length = all.readUInt32LE(12)
      const command = all.readUInt32LE(0)
      if ((command ^ 0xffffffff) >>> 0 !== all.readUInt32LE(20))
        throw new TvProtocolError(`the TV sent ${all.toString('hex', 0, 8)}…, which is no packet of ADB`)
      if (length > MAX_PAYLOAD_BYTES)
        throw new TvProtocolError(`the TV sent a packet of ${length} bytes; at most ${MAX_PAYLOAD_BYTES}`)
      chunks = [all]
      wanted = HEADER_BYTES + length
      if (held < wanted) return
      yield {
        command,
        arg0: all.readUInt32LE(4),
        arg1: all.readUInt32LE(8),
        // a copy: what it was cut from can be large
        payload: Uint8Array.from(all.subarray(HEADER_BYTES, wanted))
      }
      chunks = [all.subarray(wanted)]
      held -= wanted
      wanted = HEADER_BYTES
    }
  }
}

/**
 * Resolves when there is room for more, or the TV is gone: that is told by the end of what is read. The library writes
 * some answers without waiting for them, and an error there would end the node.
 */
function write(socket: Socket, packet: AdbPacketInit): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.write(packetOf(packet), () => resolve())
  return promise
}

function packetOf({
  command,
  arg0 = 0,
  arg1 = 0,
  payload = new Uint8Array(),
  checksum = 0
}: Partial<AdbPacketInit> & { command: number }): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + payload.length)
  packet.writeUInt32LE(command, 0)
  packet.writeUInt32LE(arg0, 4)
  packet.writeUInt32LE(arg1, 8)
  packet.writeUInt32LE(payload.length, 12)
  packet.writeUInt32LE(checksum, 16)
  packet.writeUInt32LE((command ^ 0xffffffff) >>> 0, 20)
  packet.set(payload, HEADER_BYTES)
  return packet
}
