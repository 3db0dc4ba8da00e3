import { createServer, type Socket } from 'node:net'
import { FetchError, FetchTooLongError } from '../errors.ts'

export interface GateInit {
  /** A connection to a host that may be reached. @throws {ForbiddenAddressError} */
  connect(host: string, port: number): Promise<Socket>
  /** of all connections together, both ways */
  maxBytes: number
}

export interface Gate extends AsyncDisposable {
  /** why a host was not reached, the last time */
  refusal?: Error
  /** what has ended all connections */
  failure?: Error
}

const VERSION = 5
const CONNECT = 1
const REPLY = { ok: 0, refused: 2 } as const
const MOST_CONNECTIONS = 64

/**
 * A proxy (SOCKS 5, RFC 1928) on a socket of the file system: names are looked up here and nowhere else, and what they mean
 * is looked at before anything is connected.
 *
 * @param path of the socket; it must not be there yet
 */
export async function openGate(path: string, { connect, maxBytes }: GateInit): Promise<Gate> {
  const sockets = new Set<Socket>()
  let bytes = 0
  const gate: Gate = {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    }
  }

  function keep(socket: Socket): Socket {
    sockets.add(socket)
    // its end is told by its other side, or by nobody
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    return socket
  }

  function count(chunk: Buffer): void {
    bytes += chunk.byteLength
    if (bytes <= maxBytes) return
    gate.failure = new FetchTooLongError(`a page loads more than ${maxBytes} bytes`)
    for (const socket of sockets) socket.destroy()
  }

  async function serve(client: Socket): Promise<void> {
    const [version, methods = 0] = await take(client, 2)
    if (version !== VERSION) throw new FetchError('a connection that speaks no SOCKS 5')
    await take(client, methods)
    client.write(Buffer.of(VERSION, 0))
    const [, command, , type] = await take(client, 4)
    const host = await readHost(client, type!)
    const port = (await take(client, 2)).readUInt16BE()
    try {
      if (command !== CONNECT) throw new FetchError(`SOCKS command ${command}`)
      const server = keep(await connect(host, port))
      client.on('data', count).on('close', () => server.destroy())
      server.on('data', count).on('close', () => client.destroy())
      client.write(reply(REPLY.ok))
      client.pipe(server).pipe(client)
    } catch (error) {
      gate.refusal = error as Error
      client.end(reply(REPLY.refused))
    }
  }

  const server = createServer(client => {
    keep(client)
    if (sockets.size > 2 * MOST_CONNECTIONS) client.destroy()
    else serve(client).catch(() => client.destroy())
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  return gate
}

const reply = (code: number): Buffer => Buffer.of(VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0)

async function readHost(client: Socket, type: number): Promise<string> {
  if (type === 1) return (await take(client, 4)).join('.')
  if (type === 3) return (await take(client, (await take(client, 1))[0]!)).toString('latin1')
  if (type !== 4) throw new FetchError(`SOCKS address of type ${type}`)
  const words = await take(client, 16)
  const groups = Array.from({ length: 8 }, (_, i) => words.readUInt16BE(2 * i).toString(16))
  return `[${groups.join(':')}]`
}

/** So many bytes; who sends no more of them is not waited for. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  if (count === 0) return Buffer.alloc(0)
  for (;;) {
    const bytes = socket.read(count) as Buffer | null
    if (bytes?.byteLength === count) return bytes
    if (bytes != null || socket.readableEnded || socket.destroyed)
      throw new FetchError('a connection that ended before it began')
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        socket.off('readable', done).off('close', gone)
        resolve()
      }
      const gone = (): void => reject(new FetchError('a connection that ended before it began'))
      socket.on('readable', done).on('close', gone)
    })
  }
}
