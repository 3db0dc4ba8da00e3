import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { needSocket } from '../qemu/qmp.ts'
import { createGateway, type Gateway } from './gateway.ts'

/** A frame of Ethernet with all that a card may put into one. */
const FRAME_BYTES = 65_550
/** Frames that wait for a guest that takes none; more are lost, as on any wire. */
const PENDING_BYTES = 4 << 20

/** The network card of a machine. */
export interface Link {
  /** Opens a port of the guest. */
  connect(port: number): Duplex
  close(): void
}

/**
 * Plugs a gateway into the socket that QEMU's `stream` network listens at: 4 bytes of length before each frame.
 * @throws QemuError where there is no socket
 */
export function plugIn(path: string, mac: Buffer): Link {
  needSocket(path)
  const socket = connect({ path })
  const gateway: Gateway = createGateway(mac, frame => {
    if (socket.destroyed || socket.writableLength > PENDING_BYTES) return
    const length = Buffer.alloc(4)
    length.writeUInt32BE(frame.length)
    socket.write(Buffer.concat([length, frame]))
  })
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (data: Buffer) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    let at = 0
    while (rest.length - at >= 4) {
      const length = rest.readUInt32BE(at)
      if (length > FRAME_BYTES) return socket.destroy()
      if (rest.length - at - 4 < length) break
      gateway.receive(rest.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    rest = rest.subarray(at)
  })
  socket.on('error', () => {}) // it ends with the machine
  socket.once('close', () => gateway.close())
  return {
    connect: port => gateway.connect(port),
    close: () => void socket.destroy()
  }
}
