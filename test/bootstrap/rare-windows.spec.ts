import { strict as assert } from 'node:assert'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Stream, StreamMuxer } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { rareWindows } from '../../bootstrap/rare-windows.ts'
import { until } from './nodes.ts'

const UPDATE = 1

/** Muxers ask each other whether they are there for as long as their connection is. */
const connections: ReturnType<typeof multiaddrConnectionPair>[number][] = []

/** Two ends of a stream, each behind a muxer of its own, and how often the second told that it has room. */
async function pair() {
  const factory = rareWindows(yamux())({ logger: defaultLogger() } as never)
  const [here, there] = multiaddrConnectionPair()
  connections.push(here, there)
  const muxer = factory.createStreamMuxer(here)
  const other = factory.createStreamMuxer(there) as StreamMuxer & { sendFrame(frame: object): boolean }
  let updates = 0
  const { sendFrame } = other
  other.sendFrame = (...args) => {
    if ((args[0] as { type: number }).type === UPDATE) updates++
    return sendFrame.apply(other, args)
  }
  const taken = Promise.withResolvers<Stream>()
  other.addEventListener('stream', ({ detail }) => taken.resolve(detail))
  const sender = await muxer.createStream()
  let bytes = 0
  sender.send(Uint8Array.of(1))
  const receiver = await taken.promise
  receiver.addEventListener('message', ({ data }) => {
    bytes += data.byteLength
  })
  return { sender, received: () => bytes, updates: () => updates }
}

describe('bootstrap: windows of streams', () => {
  afterEach(() => {
    for (const connection of connections.splice(0)) connection.abort(new Error('over'))
  })

  it('are told once for many small messages', async () => {
    const { sender, received, updates } = await pair()
    for (let i = 1; i <= 100; i++) {
      sender.send(new Uint8Array(100))
      await until(() => received() >= 100 * i, 'the message')
    }
    // the first accepts the stream
    assert.equal(updates(), 1)
  })

  it('are told in time for whoever sends much, message by message or all at once', async () => {
    for (const size of [1000, 1 << 20]) {
      const { sender, received } = await pair()
      const all = 4 << 20
      for (let sent = 0; sent < all; sent += size)
        if (!sender.send(new Uint8Array(size))) await sender.onDrain()
      await until(() => received() >= all, 'all of it')
    }
  })
})
