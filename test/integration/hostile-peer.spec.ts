import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Stream } from '@libp2p/interface'
import { frame, framed } from '../../bootstrap/framing.ts'
import { createHeliaNode } from '../../bootstrap/helia-node.ts'
import { createIdentity, type HeliaNode, offersTopic } from '../../bootstrap/index.ts'
import { libp2pOptions } from '../../bootstrap/libp2p-options.ts'
import { networkId } from '../../bootstrap/network.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { COMPUTE_PROTOCOL } from '../../scheduler/protocol/compute-messages.ts'
import { DELEGATE_PROTOCOL } from '../../scheduler/protocol/delegate-messages.ts'
import { MAX_FRAME_BYTES } from '../../scheduler/protocol/limits.ts'
import { BLOCKS_PROTOCOL } from '../../scheduler/streams/block-exchange.ts'
import { until } from '../bootstrap/nodes.ts'
import { hostileShapes } from '../sandbox/hostile-bytes.ts'

const MB = 1024 * 1024

describe('a hostile peer', function () {
  this.timeout(600_000)
  let folder: string
  let victim: ArtelNode
  const attackers: HeliaNode[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-hostile-peer-'))
    const flags = { data: folder, logLevel: 'silent', slots: 1, trustedPeers: ['*'] }
    victim = await createNode(loadConfig({ environment: {}, flags }), { role: 'seed' })
  })
  afterEach(async () => {
    await Promise.all(attackers.splice(0).map(node => node.stop()))
  })
  after(async () => {
    await victim.stop()
    await rm(folder, { recursive: true })
  })

  /** Dials once: `connection` is the one over which it misbehaves. */
  async function attacker() {
    const identity = await createIdentity()
    const node = await createHeliaNode({ libp2p: libp2pOptions({ network: victim.network, identity }) })
    attackers.push(node)
    const connection = await node.libp2p.dial(victim.libp2p.getMultiaddrs())
    return {
      ...node,
      connection,
      dial: (protocol: string, ms = 5_000) =>
        connection.newStream(protocol, { signal: AbortSignal.timeout(ms) })
    }
  }
  type Attacker = Awaited<ReturnType<typeof attacker>>

  const message = (value: unknown): Uint8Array => frame(encodeValue(value), MAX_FRAME_BYTES).subarray()

  /** Sends until it is out, or for so long that it should be. */
  async function flood(node: Attacker, protocol: string, bytes: Uint8Array) {
    let stream: Stream | undefined
    for (const end = Date.now() + 240_000; Date.now() < end && !isOut(node); ) {
      try {
        stream ??= await node.dial(protocol)
        if (!stream.send(bytes)) await stream.onDrain({ signal: AbortSignal.timeout(5_000) })
        if (stream.status !== 'open') stream = undefined
      } catch {
        stream?.abort(new Error('once more'))
        stream = undefined
      }
      // the node is in this process, and gets its turn here
      await new Promise(setImmediate)
    }
  }

  const isOut = ({ connection }: Attacker): boolean => connection.status !== 'open'

  /** It is disconnected, and not let in again. */
  async function assertBarred(node: Attacker): Promise<void> {
    await until(() => isOut(node), 'the end of its connection')
    const again = node.libp2p.dial(victim.libp2p.getMultiaddrs(), { signal: AbortSignal.timeout(30_000) })
    await assert.rejects(async () => {
      const connection = await again
      // the handshake may be over before the gate is asked
      await until(() => connection.status !== 'open', 'the gate')
      throw new Error('shut out')
    })
  }

  const load = (program: number, size = 100): unknown => ({
    t: 'load',
    program: `p${program}`,
    kind: 'function',
    source: 'x => x',
    functions: { reduce: { kind: 'function', source: 'x'.repeat(size) } },
    timeoutMs: 1000,
    memoryMb: 64
  })
  const slice = (id: number) => ({
    id,
    program: 'not loaded',
    inputs: [new Uint8Array(1)],
    expectedMs: 1,
    job: 'job',
    price: 0
  })
  const batch = (...values: unknown[]): Uint8Array => Buffer.concat(values.map(message))

  const floods: [name: string, protocol: string, bytes: () => Uint8Array][] = [
    ['a length without end, as work', COMPUTE_PROTOCOL, () => new Uint8Array(1000).fill(0xff)],
    ['a length without end, as blocks', BLOCKS_PROTOCOL, () => new Uint8Array(1000).fill(0xff)],
    ['a length without end, by bitswap', '/ipfs/bitswap/1.2.0', () => new Uint8Array(1000).fill(0xff)],
    ['empty maps', COMPUTE_PROTOCOL, () => frame(hostileShapes['empty maps']!(4 * MB), 8 * MB).subarray()],
    [
      'programs that are loaded and never used',
      COMPUTE_PROTOCOL,
      () =>
        batch(
          ...Array.from({ length: 200 }, (_, i) => load(i, 20_000)),
          ...Array.from({ length: 200 }, (_, i) => ({ t: 'unload', program: `p${i}` }))
        )
    ],
    [
      'leases of programs that are not there',
      COMPUTE_PROTOCOL,
      () => message({ t: 'lease', slices: Array.from({ length: 4096 }, (_, i) => slice(i)) })
    ],
    [
      'leases called back that never were',
      COMPUTE_PROTOCOL,
      () => message({ t: 'revoke', slices: Array.from({ length: 4096 }, (_, i) => i) })
    ]
  ]
  for (const [name, protocol, bytes] of floods)
    it(`is shut out after ${name}`, async () => {
      const node = await attacker()
      await flood(node, protocol, bytes())
      await assertBarred(node)
    })

  it('is shut out after lengths without end on all protocols that there are', async () => {
    for (const protocol of victim.libp2p.getProtocols()) {
      // thirty-two bytes of anything are a ping; who delegates nothing answers anything, see below
      if (protocol === '/ipfs/ping/1.0.0' || protocol === DELEGATE_PROTOCOL) continue
      const node = await attacker()
      await flood(node, protocol, new Uint8Array(MB).fill(0xff))
      await until(() => isOut(node), `the end of who sends it on ${protocol}`)
      await attackers.pop()!.stop()
    }
  })

  it('is answered by who serves no delegates, and nothing that it sends is kept', async () => {
    const node = await attacker()
    const stream = await node.dial(DELEGATE_PROTOCOL, 240_000)
    stream.send(new Uint8Array(4 * MB).fill(0xff))
    const answer = decodeValue((await framed(stream, MB).read()).subarray()) as { t: string; name: string }
    assert.deepEqual([answer.t, answer.name], ['error', 'NotServedError'])
  })

  it('is shut out after garbage by gossip', async () => {
    const node = await attacker()
    const topic = offersTopic(networkId(victim.network))
    const { pubsub } = node.libp2p.services
    pubsub.subscribe(topic)
    await until(() => pubsub.getSubscribers(topic).length > 0, 'who listens')
    for (let i = 0; i < 2000 && !isOut(node); i++) {
      await pubsub.publish(topic, Buffer.from(`garbage ${i}`)).catch(() => undefined)
      if (i % 100 === 0) await new Promise(setImmediate)
    }
    await assertBarred(node)
  })

  it('keeps nobody else from working', async () => {
    const job = await victim.submit({ type: 'range_reduce', start: 1, end: 1000, operation: 'sum' })
    assert.equal(await job.result(), 500_500)
  })
})
