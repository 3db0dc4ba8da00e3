import { connect, type Socket } from 'node:net'
import { needSocket } from './qmp.ts'

const RING_BYTES = 1 << 20
/** What writers may have under way towards a guest that does not read. */
const PENDING_BYTES = 64 * 1024

/** The serial port of a machine: always drained, so that a guest never waits for somebody to look. */
export interface Console {
  /** what came last, at most 1 MiB */
  recent(): Buffer
  /** bytes since the machine started; viewers learn from it what they missed */
  readonly received: number
  watch(viewer: (data: Buffer) => void): () => void
  /** false where the guest does not read: the bytes are dropped */
  write(data: Uint8Array): boolean
  /** @throws QemuError where there is no socket */
  attach(path: string): void
  close(): void
}

export function createConsole(): Console {
  // a machine that never ran needs none
  let ring = Buffer.alloc(0)
  const viewers = new Set<(data: Buffer) => void>()
  let received = 0
  let socket: Socket | undefined

  function keep(data: Buffer) {
    const last = data.subarray(-RING_BYTES)
    const at = (received + data.length - last.length) % RING_BYTES
    const head = last.subarray(0, RING_BYTES - at)
    ring.set(head, at)
    ring.set(last.subarray(head.length), 0)
    received += data.length
    for (const viewer of viewers) viewer(data)
  }

  return {
    recent() {
      if (received <= RING_BYTES) return Buffer.from(ring.subarray(0, received))
      const at = received % RING_BYTES
      return Buffer.concat([ring.subarray(at), ring.subarray(0, at)])
    },
    get received() {
      return received
    },
    watch(viewer) {
      viewers.add(viewer)
      return () => viewers.delete(viewer)
    },
    write(data) {
      if (socket === undefined || socket.destroyed || socket.writableLength + data.length > PENDING_BYTES)
        return false
      socket.write(data)
      return true
    },
    attach(path) {
      needSocket(path)
      socket?.destroy()
      ring = Buffer.alloc(RING_BYTES)
      received = 0
      socket = connect({ path })
      socket.on('data', keep)
      socket.on('error', () => {}) // it ends with the machine
    },
    close() {
      socket?.destroy()
    }
  }
}
