import { strict as assert } from 'node:assert'
import { connect } from 'node:net'
import { identify } from '@libp2p/identify'
import type { ComponentLogger, MessageStream, Stream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { type HeliaNode, PEER_LIMITS } from '../../bootstrap/index.ts'
import { ruleOf } from '../../bootstrap/library-rules.ts'
import { address, isConnected, TestNetwork, until } from './nodes.ts'

const ENDLESS = new Uint8Array(64).fill(0xff)
const named = (name: string | Uint8Array): Uint8Array => {
  const bytes = Buffer.concat([Buffer.from(name), Buffer.from('\n')])
  return Buffer.concat([Uint8Array.of(bytes.length), bytes])
}

/** Keeps the errors that are logged. */
function keeping(errors: Set<Error>): ComponentLogger {
  const { forComponent } = defaultLogger()
  return {
    forComponent(name) {
      const log = forComponent(name)
      const keep = (_: string, ...args: unknown[]) => {
        for (const each of args) if (each instanceof Error) errors.add(each)
      }
      return Object.assign((...args: Parameters<typeof log>) => log(...args), log, {
        error: keep,
        newScope: (scope: string) => keeping(errors).forComponent(`${name}:${scope}`)
      })
    }
  }
}

describe('bootstrap: bytes before a library reads them', () => {
  let test: TestNetwork
  let seed: HeliaNode
  let errors: Set<Error>
  const wasted: { peer: string; ms: number }[] = []
  const cutOff = () => [...errors].filter(({ name }) => name === 'FramingError').length

  beforeEach(async () => {
    test = await TestNetwork.create()
    errors = new Set()
    wasted.length = 0
    const waste = (peer: string, ms: number): void => {
      // not the first frames of a connection
      if (ms > 0.1) wasted.push({ peer, ms })
    }
    const budget = { barredMs: () => 0, waste }
    seed = await test.startSeed({ budget, logger: keeping(errors) })
  })
  afterEach(() => test.stop())

  async function connected(change?: Parameters<TestNetwork['start']>[1]): Promise<HeliaNode> {
    const node = await test.start({ seeds: [address(seed)] }, change)
    // at either end: who is not would be looked for
    await until(() => isConnected(node, seed) && isConnected(seed, node), 'connected')
    return node
  }

  function dial() {
    const [, port] = seed.libp2p.getMultiaddrs()[0]!.getComponents()
    return connect(Number(port!.value), '127.0.0.1').on('error', () => {})
  }

  it('are looked at from the first of a connection on', async () => {
    const socket = dial()
    socket.write(ENDLESS)
    await until(() => socket.closed, 'the end of the connection')
    assert.ok(cutOff() > 0)
  })

  it('are looked at until the library, too, takes the negotiation for ended', async () => {
    const lookalikes = [Buffer.from('/noise\xa0', 'latin1'), Buffer.from('\ufeff/noise')]
    for (const [i, name] of lookalikes.entries()) {
      const socket = dial()
      socket.write(Buffer.concat([named('/multistream/1.0.0'), named(name), ENDLESS]))
      await until(() => socket.closed, 'the end of the connection')
      assert.equal(cutOff(), i + 1)
    }
  })

  it('name few protocols before there are streams', async () => {
    const socket = dial()
    socket.resume()
    socket.write(Buffer.concat([named('/multistream/1.0.0'), ...new Array(100).fill(named('/other'))]))
    await until(() => socket.closed, 'the end of the connection')
    assert.ok([...errors].some(({ message }) => message === 'more than 1 names a second'))
  })

  it('are looked at behind an answer that agrees on what was not offered', async () => {
    const node = await connected()
    const [connection] = node.libp2p.getConnections(seed.libp2p.peerId)
    const { muxer } = connection as unknown as { muxer: { onRemoteStream(stream: Stream): void } }
    muxer.onRemoteStream = stream => {
      stream.send(Buffer.concat([named('/multistream/1.0.0'), named('/artel/other/1.0.0'), ENDLESS]))
    }
    const signal = AbortSignal.timeout(240_000)
    await assert.rejects(seed.libp2p.dialProtocol(node.libp2p.peerId, '/artel/test/1.0.0', { signal }))
    await until(() => cutOff() > 0, 'the end of the stream')
  })

  it('may be taken back a hundred times: so does who cancels a job', async () => {
    const node = await connected()
    let received = 0
    await seed.libp2p.handle('/artel/test/1.0.0', stream => {
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength
      })
    })
    const stream = await node.libp2p.dialProtocol(seed.libp2p.peerId, '/artel/test/1.0.0')
    stream.send(new Uint8Array(1 << 20))
    await until(() => received === 1 << 20, 'the upload')
    stream.abort(new Error('taken back'))
    await until(() => wasted.length > 0, 'the end of the stream')
    assert.ok(wasted[0]!.ms <= PEER_LIMITS.burstMs / 100, `${wasted[0]!.ms} ms`)
  })

  it('are looked at from the first of a stream on', async () => {
    const node = await connected()
    const [connection] = node.libp2p.getConnections(seed.libp2p.peerId)
    const { muxer } = connection as unknown as { muxer: { createStream(): Promise<Stream> } }
    const stream = await muxer.createStream()
    stream.send(ENDLESS)
    await until(() => stream.status !== 'open', 'the end of the stream')
    assert.ok(cutOff() > 0)
    assert.deepEqual(new Set(wasted.map(({ peer }) => peer)), new Set([node.libp2p.peerId.toString()]))
  })

  it('are looked at on every protocol that a library reads', async () => {
    // a library takes one stream at a time, and its own are not to be in the way
    const node = await connected(({ services }) => {
      Reflect.deleteProperty(services!, 'identifyPush')
      services!.identify = identify({ runOnConnectionOpen: false })
    })
    const protocols = seed.libp2p.getProtocols().filter(protocol => protocol !== '/artel/network/1.0.0')
    assert.ok(protocols.length > 10)
    for (const protocol of protocols) {
      assert.ok(ruleOf(protocol, 'inbound', { gossipBytes: 1 }) != null, `${protocol} has no rule`)
      // of these every thirty-two bytes are a message
      if (protocol === '/ipfs/ping/1.0.0') continue
      const before = cutOff()
      const stream = await node.libp2p.dialProtocol(seed.libp2p.peerId, protocol)
      stream.send(ENDLESS)
      await until(() => stream.status !== 'open', `the end of the stream on ${protocol}`)
      assert.equal(cutOff(), before + 1, protocol)
    }
    assert.ok(wasted.reduce((sum, { ms }) => sum + ms, 0) > PEER_LIMITS.burstMs, 'it would be out by now')
  })

  it('are looked at in what a peer answers', async () => {
    const node = await test.start()
    const kad = node.libp2p.getProtocols().find(protocol => protocol.endsWith('/kad/1.0.0'))!
    await node.libp2p.unhandle(kad)
    await node.libp2p.handle(kad, stream => void stream.send(ENDLESS))
    await node.libp2p.dial(seed.libp2p.getMultiaddrs())
    await until(() => isConnected(seed, node), 'connected')
    const stream = await seed.libp2p.dialProtocol(node.libp2p.peerId, kad)
    await until(() => stream.status !== 'open', 'the end of the stream')
    assert.ok(cutOff() > 0)
    assert.deepEqual(new Set(wasted.map(({ peer }) => peer)), new Set([node.libp2p.peerId.toString()]))
  })

  it('are looked at in what carries the streams', async () => {
    const node = await connected()
    const [connection] = node.libp2p.getConnections(seed.libp2p.peerId)
    const { muxer } = connection as unknown as { muxer: { maConn: MessageStream } }
    // the beginning of a frame of a gigabyte, for a stream that it opens
    muxer.maConn.send(Uint8Array.of(0, 0, 0, 1, 0, 1, 0, 1, 0x40, 0, 0, 0))
    await until(() => connection!.status !== 'open', 'the end of the connection')
    assert.deepEqual(new Set(wasted.map(({ peer }) => peer)), new Set([node.libp2p.peerId.toString()]))
  })

  it('are few messages a second', async () => {
    const node = await connected()
    const protocol = seed.libp2p.getProtocols().find(each => each.startsWith('/meshsub/'))!
    const stream = await node.libp2p.dialProtocol(seed.libp2p.peerId, protocol)
    // 100,000 messages of an unknown field
    stream.send(Buffer.alloc(300_000, Uint8Array.of(2, 0x78, 0)))
    await until(() => stream.status !== 'open', 'the end of the stream')
    assert.ok([...errors].some(({ message }) => message === 'more than 2000 messages a second'))
  })

  it('list no more than a decoder can make objects of', async () => {
    const node = await connected()
    const stream = await node.libp2p.dialProtocol(seed.libp2p.peerId, '/ipfs/bitswap/1.2.0')
    // one message of 100,000 empty blocks
    stream.send(
      Buffer.concat([Uint8Array.of(0xc0, 0x9a, 0x0c), Buffer.alloc(200_000, Uint8Array.of(0x1a, 0))])
    )
    await until(() => stream.status !== 'open', 'the end of the stream')
    assert.ok([...errors].some(({ message }) => message === 'more than 20000 fields of messages a second'))
  })
})
