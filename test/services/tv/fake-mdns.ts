import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

/* What a TV answers by mDNS, byte for byte as RFC 1035 and 2782 have it. */

const PTR = 12
const SRV = 33
const nameOf = (text: string): Buffer =>
  Buffer.concat([
    ...text.split('.').map(each => Buffer.from([each.length, ...Buffer.from(each)])),
    Buffer.of(0)
  ])

function record(name: string, type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(1, 2)
  head.writeUInt32BE(10, 4)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([nameOf(name), head, data])
}

/** @param port none: it says its name only */
export function answerOf(name: string, port?: number, service = '_adb-tls-connect'): Buffer {
  const type = `${service}._tcp.local`
  const header = Buffer.from([0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, port == null ? 0 : 1])
  const all = [header, record(type, PTR, nameOf(`${name}.${type}`))]
  if (port != null) {
    const place = Buffer.from([0, 0, 0, 0, port >> 8, port & 0xff])
    all.push(record(`${name}.${type}`, SRV, Buffer.concat([place, nameOf('tv.local')])))
  }
  return Buffer.concat(all)
}

/** A TV that says its name first, and its port when it is asked by that name. */
export class FakeMdns implements AsyncDisposable {
  /** its port; undefined: it is silent */
  tells?: number
  private readonly socket: Socket = createSocket('udp4')

  static async listen(): Promise<FakeMdns> {
    const made = new FakeMdns()
    made.socket.on('message', (bytes, { address, port }) => {
      if (made.tells == null) return
      const isByName = bytes.includes(nameOf('tv-1').subarray(0, -1))
      made.socket.send(answerOf('tv-1', isByName ? made.tells : undefined), port, address)
    })
    made.socket.bind(0, '127.0.0.1')
    await once(made.socket, 'listening')
    return made
  }

  get port(): number {
    return this.socket.address().port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close()
    await once(this.socket, 'close')
  }
}
