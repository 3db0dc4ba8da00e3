import type { Socket } from 'node:net'
import type { AdbDaemonConnection, AdbPacketData, AdbPacketInit } from '@yume-chan/adb'
import { type Consumable, ReadableStream, WritableStream } from '@yume-chan/stream-extra'
import { TvProtocolError } from '../errors.ts'

const HEADER_BYTES = 24
/** what this side offers at most, and so the most that a TV may send in one packet */
const MAX_PAYLOAD_BYTES = 1024 * 1024

/** ADB's packets on a TCP connection. Ends with the socket; what is no packet destroys it. */
export function packetsOn(socket: Socket): AdbDaemonConnection {
  const readable = new ReadableStream<AdbPacketData>({
    start(controller) {
      const read = createPacketReader()
      socket.on('data', (chunk: Buffer) => {
        try {
          for (const packet of read(chunk)) controller.enqueue(packet)
        } catch (error) {
          socket.destroy(error as Error)
        }
        if ((controller.desiredSize ?? 0) < 0) socket.pause()
      })
      socket.once('error', error => controller.error(error))
      socket.once('close', () => {
        // an error has ended it already
        if (socket.errored == null) controller.close()
      })
    },
    pull: () => void socket.resume(),
    // who reads has seen a packet that the protocol does not have there
    cancel: reason =>
      void socket.destroy(new TvProtocolError(`the TV broke the protocol: ${(reason as Error).message}`))
  })
  const writable = new WritableStream<Consumable<AdbPacketInit>>({
    write: packet => packet.tryConsume(each => write(socket, each)),
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
function write(
  socket: Socket,
  { command, arg0, arg1, payload, checksum, magic }: AdbPacketInit
): Promise<void> {
  const packet = Buffer.alloc(HEADER_BYTES + payload.length)
  packet.writeUInt32LE(command, 0)
  packet.writeUInt32LE(arg0, 4)
  packet.writeUInt32LE(arg1, 8)
  packet.writeUInt32LE(payload.length, 12)
  packet.writeUInt32LE(checksum, 16)
  packet.writeInt32LE(magic, 20)
  packet.set(payload, HEADER_BYTES)
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.write(packet, () => resolve())
  return promise
}
