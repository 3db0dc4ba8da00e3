import { once } from 'node:events'
import { createServer, type TLSSocket } from 'node:tls'
import { pairingOn } from '../../../services/tv/adb/pair-by-code.ts'
import { androidKey, type FakeDaemon } from './fake-daemon.ts'
import { fakeTls } from './fake-tls.ts'

/** What a TV shows under "Pair device with pairing code": a port that takes a key from who knows the code. */
export async function showPairingCode(
  daemon: FakeDaemon,
  code: string
): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<TLSSocket>()
  const server = createServer(fakeTls(), socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    void pair(socket).then(
      () => socket.end(),
      () => socket.destroy()
    )
  })
  async function pair(socket: TLSSocket): Promise<void> {
    const { exchange, open, seal } = pairingOn(socket, 'server', code)
    await exchange()
    const info = await open()
    const [, key, name] = /^(\S+) ([^\0]*)\0*$/.exec(info.toString('latin1', 1))!
    daemon.keys.push(androidKey(Buffer.from(key!, 'base64')))
    daemon.offered.push(name!)
    const guid = Buffer.alloc(8192)
    guid[0] = 1
    guid.write('adb-TV-1', 1)
    seal(guid)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}
