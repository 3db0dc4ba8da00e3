import { setTimeout as delay } from 'node:timers/promises'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { MessageStream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { attacks, type Target } from './attacks.ts'

/*
 * A hostile peer: `attacker.ts ATTACK ADDRESS HTTP-PORT SECONDS`. It is libp2p and nothing of a node of ours, keeps to no
 * limit, and comes back by the same name whenever it is thrown out. Prints { event: 'end', out, rounds, told }.
 */
const [name, address, port, seconds] = process.argv.slice(2) as [string, string, string, string]
const attack = attacks[name]
if (attack == null)
  throw new Error(`there is no attack "${name}"; there are ${Object.keys(attacks).join(', ')}`)

const DIAL_MS = 2_000
const libp2p = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 16 * 1024 * 1024 } })],
  connectionGater: { denyDialMultiaddr: () => false },
  services: {
    identify: identify(),
    pubsub: gossipsub({ allowPublishToZeroTopicPeers: true, emitSelf: false })
  }
})
const node = multiaddr(address)
const topics = new Set<string>()
libp2p.services.pubsub.addEventListener('subscription-change', ({ detail }) => {
  for (const { topic, subscribe } of detail.subscriptions) if (subscribe) topics.add(topic)
})
const connection = () => libp2p.dial(node, { signal: AbortSignal.timeout(DIAL_MS) })
const signal = AbortSignal.timeout(Number(seconds) * 1_000)

const target: Target = {
  open: async protocol =>
    (await connection()).newStream(protocol, {
      signal: AbortSignal.timeout(DIAL_MS),
      maxOutboundStreams: Number.POSITIVE_INFINITY
    }),
  protocols: async () => (await libp2p.peerStore.get((await connection()).remotePeer)).protocols,
  topics: () => [...topics],
  connection: async () =>
    ((await connection()) as unknown as { muxer: { maConn: MessageStream } }).muxer.maConn,
  publish: (topic, bytes) => libp2p.services.pubsub.publish(topic, bytes),
  subscribe: topic => libp2p.services.pubsub.subscribe(topic),
  port: Number(port),
  signal
}

/** Whether the node lets us in and talks to us. */
async function isIn(): Promise<boolean> {
  try {
    const stream = await target.open('/ipfs/id/1.0.0')
    const answer = stream[Symbol.asyncIterator]().next()
    const heard = await Promise.race([answer, delay(DIAL_MS, undefined)])
    return heard != null && heard.done !== true
  } catch {
    return false
  }
}

let rounds = 0
let told = ''
let out = false
process.stdout.write('{"event":"ready"}\n')
while (!signal.aborted && !out) {
  rounds++
  try {
    // a round that hangs where the other side takes nothing more ends with the time
    const ended = await Promise.race([
      attack(target),
      delay(Number(seconds) * 1_000 + 500, 'late', { ref: false })
    ])
    out = ended === 'out'
  } catch (error) {
    if (!signal.aborted) told = String(error)
  }
  await delay(100)
}
out ||= !name.startsWith('slow') && !(await isIn())
process.stdout.write(`${JSON.stringify({ event: 'end', out, rounds, told })}\n`)
process.exit(0)
