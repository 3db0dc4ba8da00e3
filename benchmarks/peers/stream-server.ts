import { once } from 'node:events'
import { createServer } from 'node:net'
import { answer, createNode, DATA, ECHO, pipeOf, tcpPipe } from './streams.ts'

/** The other end of streams.ts, in a process of its own: echoes, takes data and gives data. */

const node = await createNode(['/ip4/127.0.0.1/tcp/0'])
await node.handle(ECHO, stream => {
  const pipe = pipeOf(stream)
  pipe.onData(data => void pipe.send(data))
})
await node.handle(DATA, stream => answer(pipeOf(stream)))

const tcp = createServer(socket => {
  socket.on('error', () => socket.destroy())
  answer(tcpPipe(socket))
}).listen(0, '127.0.0.1')
await once(tcp, 'listening')

process.send!({
  address: node.getMultiaddrs()[0]!.toString(),
  port: (tcp.address() as { port: number }).port
})
process.once('disconnect', () => process.exit())
