import { parentPort } from 'node:worker_threads'
import { Machine } from './machine.ts'
import { TcpWire } from './wire.ts'

/* A machine behind a wire in the network, in a thread of its own: it goes on while the other one stands still. */

const wire = new TcpWire([new Machine({ address: 1, serial: 'A-17' })])
await wire.listen()
parentPort!.on('message', async () => {
  parentPort!.postMessage(wire.heard)
  await wire[Symbol.asyncDispose]()
  parentPort!.close()
})
parentPort!.postMessage(wire.port)
