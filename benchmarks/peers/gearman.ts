import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** The few packets of Gearman's binary protocol that a client and a worker need (gearman.org/protocol). */
const PACKET = {
  canDo: 1,
  preSleep: 4,
  noop: 6,
  submit: 7,
  created: 8,
  grab: 9,
  noJob: 10,
  assign: 11,
  complete: 13
} as const

const HEAD_BYTES = 12

async function open(port: number, onPacket: (type: number, body: Buffer) => void) {
  const socket: Socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay()
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', chunk => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= HEAD_BYTES) {
      const size = HEAD_BYTES + rest.readUInt32BE(8)
      if (rest.length < size) return
      const packet = rest.subarray(0, size)
      rest = rest.subarray(size)
      onPacket(packet.readUInt32BE(4), packet.subarray(HEAD_BYTES))
    }
  })
  const send = (type: number, body = ''): void => {
    const packet = Buffer.alloc(HEAD_BYTES + Buffer.byteLength(body))
    packet.write('\0REQ', 'latin1')
    packet.writeUInt32BE(type, 4)
    packet.writeUInt32BE(packet.length - HEAD_BYTES, 8)
    packet.write(body, HEAD_BYTES)
    socket.write(packet)
  }
  return { send, close: () => void socket.destroy() }
}

export async function gearmanClient(port: number) {
  // the server answers submissions in their order, then completes jobs in any
  const submitted: PromiseWithResolvers<string>[] = []
  const running = new Map<string, PromiseWithResolvers<string>>()
  const { send, close } = await open(port, (type, body) => {
    const [handle = '', result = ''] = body.toString().split('\0')
    if (type === PACKET.created) running.set(handle, submitted.shift()!)
    if (type !== PACKET.complete) return
    running.get(handle)?.resolve(result)
    running.delete(handle)
  })
  return {
    submit(name: string): Promise<string> {
      const job = Promise.withResolvers<string>()
      submitted.push(job)
      send(PACKET.submit, `${name}\0\0`)
      return job.promise
    },
    close
  }
}

export async function gearmanWorker(port: number, name: string, work: () => unknown): Promise<void> {
  const { send } = await open(port, (type, body) => {
    if (type === PACKET.noJob) send(PACKET.preSleep)
    if (type === PACKET.noop) send(PACKET.grab)
    if (type !== PACKET.assign) return
    const [handle] = body.toString().split('\0')
    send(PACKET.complete, `${handle}\0${work()}`)
    send(PACKET.grab)
  })
  send(PACKET.canDo, name)
  send(PACKET.grab)
}
