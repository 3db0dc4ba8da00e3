import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { FaceInit } from '../contract.ts'
import type { App } from './app.ts'

/** The first byte of whoever speaks TLS: a handshake record (RFC 8446, 5.1). */
const HANDSHAKE = 22
/** Who has not said anything by then. */
const FIRST_MS = 10_000
const LOOPBACK = '127.0.0.1'
const OPEN = ['0.0.0.0', '::']

export const isLoopback = (address: string | undefined): boolean =>
  /^(::ffff:)?127\.|^::1$|^localhost$/.test(address ?? '')

/** Where it listens. */
export const portOf = ({ server }: App): number => (server.address() as AddressInfo).port

/**
 * Listens at an address, with TLS where there is a certificate; and at loopback, where programs of this machine ask in
 * plain HTTP. The answer is the port, and closes the second door.
 */
export async function openDoors(
  app: App,
  { host, port, tls }: Pick<FaceInit, 'host' | 'port' | 'tls'>
): Promise<{ port: number; close(): void }> {
  if (tls != null) letTlsIn(app.server, tls)
  if (isLoopback(host) || OPEN.includes(host)) {
    await app.listen({ host, port })
    return { port: portOf(app), close: () => undefined }
  }
  for (;;) {
    const near = createServer(socket => app.server.emit('connection', socket))
    near.listen(port, LOOPBACK)
    await once(near, 'listening')
    const { port: taken } = near.address() as AddressInfo
    try {
      await app.listen({ host, port: taken })
      return { port: taken, close: () => void near.close() }
    } catch (error) {
      near.close()
      // any port that is free at both
      if (port !== 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** TLS and plain HTTP at one port: the first byte tells which it is. @throws {Error} the certificate or its key is none */
function letTlsIn(server: Server, { cert, key }: NonNullable<FaceInit['tls']>): void {
  const listeners = server.listeners('connection')
  const speak = (socket: Socket): void => {
    for (const listener of listeners) listener.call(server, socket)
  }
  const tls = createTlsServer({ cert, key, handshakeTimeout: FIRST_MS }, speak)
  tls.on('tlsClientError', (_, socket) => socket.destroy())
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const end = (): void => void socket.destroy()
    const late = setTimeout(end, FIRST_MS)
    socket.on('error', end)
    socket.once('close', () => clearTimeout(late))
    socket.once('data', first => {
      clearTimeout(late)
      socket.pause()
      socket.unshift(first)
      if (first[0] === HANDSHAKE) tls.emit('connection', socket)
      else speak(socket)
      // once whoever speaks has what was put back
      process.nextTick(() => socket.resume())
    })
  })
}
