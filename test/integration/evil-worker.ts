import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { createIdentity, loadOrCreateIdentity } from '../../bootstrap/index.ts'
import { createSigner, type Signer, signWork } from '../../ledger/index.ts'
import { createLogger, createNode, loadConfig } from '../../node/index.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import {
  COMPUTE_PROTOCOL,
  type FromWorker,
  type LeasedSlice,
  type SliceResult
} from '../../scheduler/protocol/compute-messages.ts'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import { openWorkerChannel } from '../../scheduler/streams/channel.ts'
import { digestOf } from '../../scheduler/trust/answer-digest.ts'
import { createWorker } from '../../scheduler/worker/worker.ts'
import { COMPUTE_SERVICE } from '../../services/index.ts'
import { amongFriends, openPolicy } from '../scheduler/open-worker.ts'

/*
 * A worker that breaks the protocol or lies: `evil-worker.ts DATA SEED MODE,MODE…`, in one way to whoever comes, in the next one
 * from SIGUSR2 on. It computes like an honest one, and then
 * - garbage: sends random bytes in place of every answer
 * - empty: sends results of the right number that hold nothing that can be decoded, with signatures that are none
 * - strangers: sends results of slices that nobody leased, twice each
 * - wrong: sends wrong values of the right form, rightly signed
 * - late: shows life but keeps every answer until the slice is taken from it, and sends it then
 * - twice: sends every answer twice, and once more a wrong one
 * - forged: signs its answers with the key of somebody else, every other one with its own under another slice
 * - accomplice: has a second node that was leased nothing and sends wrong results for the slices of the first, on the
 *   stream that the requester opened to it and on one of its own, before the right ones come
 */
const [data, seed, list] = process.argv.slice(2) as [string, string, string]
const modes = list.split(',')
let mode = modes.shift()!
const print = (event: object): boolean => process.stdout.write(`${JSON.stringify({ mode, ...event })}\n`)

async function start(folder: string) {
  const config = loadConfig({ flags: { data: folder, seeds: [seed], compute: false } })
  const node = await createNode(config, { logger: createLogger(config) })
  // it is counted when it is gone
  await node.ledger.claimGrant()
  const { privateKey } = await loadOrCreateIdentity(join(folder, 'key'))
  return { node, signer: createSigner(privateKey) }
}
type Evil = Awaited<ReturnType<typeof start>>

const resign = ({ node }: Evil, signer: Signer, lease: LeasedSlice, result: SliceResult): SliceResult => ({
  ...result,
  signature: signWork(signer, node.ledger.network, lease.job, [
    { slice: result.id, digest: digestOf(result.outcomes), amount: BigInt(lease.price) }
  ]).signature
})

/** The same form, other numbers. */
function lie(value: unknown): unknown {
  if (typeof value === 'number') return value + 1
  return Array.isArray(value) ? value.map((each, i) => (i < value.length - 1 ? each : lie(each))) : value
}

const lies = (outcomes: SliceResult['outcomes']): SliceResult['outcomes'] =>
  outcomes.map(outcome => (outcome instanceof Uint8Array ? encodeValue(lie(decodeValue(outcome))) : outcome))

interface Requester {
  leases: Map<number, LeasedSlice>
  kept: Map<number, SliceResult>
  send(message: FromWorker): void
  raw(bytes: Uint8Array): void
}

const main = await start(data)
const stranger = createSigner((await createIdentity()).privateKey)
const second = mode === 'accomplice' ? await start(join(data, 'second')) : undefined

/** What it sends when it should send `results`: messages with results. */
function answers({ leases, kept, raw }: Requester, results: SliceResult[]): SliceResult[][] {
  const { signer } = main
  const wrong = (by: Signer, result: SliceResult): SliceResult =>
    resign(main, by, leases.get(result.id)!, { ...result, outcomes: lies(result.outcomes) })
  switch (mode) {
    case 'garbage':
      raw(randomBytes(1000))
      return []
    case 'empty': {
      const nothing = results.map(({ id, outcomes }) => ({
        id,
        ms: 0,
        signature: randomBytes(64),
        outcomes: outcomes.map(() => new Uint8Array(0))
      }))
      return [nothing, nothing]
    }
    case 'strangers': {
      const others = results.map(result => ({ ...result, id: result.id + 1_000_000 }))
      return [others, others]
    }
    case 'wrong':
      return [results.map(result => wrong(signer, result))]
    case 'late':
      for (const result of results) kept.set(result.id, result)
      return []
    case 'twice':
      return [results, results, results.map(result => wrong(signer, result))]
    case 'forged':
      return [
        results.map((result, i) => {
          const lease = leases.get(result.id)!
          if (i % 2 === 0) return resign(main, stranger, lease, result)
          const { signature } = resign(main, signer, lease, { ...result, id: result.id + 1 })
          return { ...result, signature }
        })
      ]
    case 'accomplice':
      for (const forge of forgers) forge(results.map(result => wrong(second!.signer, result)))
      return [results]
    default:
      throw new Error(`no mode ${mode}`)
  }
}

/** Where the second node sends its forgeries to: every requester that it knows. */
const forgers: ((slices: SliceResult[]) => void)[] = []

/** Serves the compute protocol with an honest worker inside. */
async function serve(evil: Evil, slots: number, onStream: (peer: PeerId, stream: Stream) => void) {
  const { node, signer } = evil
  const worker = createWorker(
    { policy: openPolicy(slots), trustsOwn: true, runtimes: [] },
    {
      ...amongFriends(),
      sandbox: node.sandbox,
      logger: node.libp2p.logger,
      sign: (job, work) => signWork(signer, node.ledger.network, job, [work]).signature
    }
  )
  await node.libp2p.unhandle(COMPUTE_PROTOCOL)
  await node.libp2p.handle(
    COMPUTE_PROTOCOL,
    (stream: Stream, { remotePeer }: Connection) => {
      const requester: Requester = {
        leases: new Map(),
        kept: new Map(),
        send: message => void channel.send(message),
        raw: bytes => {
          if (stream.status === 'open') stream.send(bytes)
        }
      }
      const channel = openWorkerChannel(stream, {
        peer: remotePeer.toString(),
        costs: UNCOUNTED,
        log: node.libp2p.logger.forComponent('evil'),
        onClose: () => inner.close(),
        onMessage: message => {
          if (message.t === 'lease') {
            for (const slice of message.slices) requester.leases.set(slice.id, slice)
            print({ event: 'leased', slices: message.slices.length })
          }
          if (message.t === 'revoke' && mode === 'late') {
            const slices = message.slices.flatMap(id => requester.kept.get(id) ?? [])
            if (slices.length > 0) {
              requester.send({ t: 'result', slices })
              print({ event: 'late', slices: slices.length })
            }
          } else inner.receive(message)
        }
      })
      const inner = worker.connect(remotePeer.toString(), message => {
        if (message.t !== 'result') requester.send(message)
        else for (const slices of answers(requester, message.slices)) requester.send({ t: 'result', slices })
      })
      onStream(remotePeer, stream)
      if (slots === 0) forgers.push(slices => requester.send({ t: 'result', slices }))
    },
    { maxInboundStreams: 8 }
  )
  node.directory.announce(COMPUTE_SERVICE)
}

await serve(main, 1, () => {})
if (second != null)
  await serve(second, 0, async peer => {
    const stream = await second.node.libp2p.dialProtocol(peer, COMPUTE_PROTOCOL)
    const channel = openWorkerChannel(stream, {
      peer: peer.toString(),
      costs: UNCOUNTED,
      log: second.node.libp2p.logger.forComponent('evil'),
      onMessage: () => {},
      onClose: () => print({ event: 'refused stream' })
    })
    forgers.push(slices => {
      void channel.send({ t: 'result', slices })
      print({ event: 'forged', slices: slices.length })
    })
  })
process.on('SIGUSR2', () => {
  mode = modes.shift()!
  print({ event: 'mode' })
})
process.on('SIGINT', async () => {
  await Promise.all([main.node.stop(), second?.node.stop()])
  process.exit(0)
})
print({
  event: 'ready',
  id: main.node.id,
  addresses: main.node.addresses(),
  pid: process.pid,
  second: second?.node.id
})
