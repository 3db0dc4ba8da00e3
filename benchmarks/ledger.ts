import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { createBook } from '../ledger/book/book.ts'
import {
  CHECKPOINT_DOMAIN,
  type Checkpoint,
  checkpointHash,
  checkpointMessage,
  encodeCheckpoint,
  votesToTuple
} from '../ledger/book/checkpoint.ts'
import { emptyRecord } from '../ledger/book/reputation.ts'
import { createSigner, type Ledger, type LedgerNetwork } from '../ledger/index.ts'
import { createLedger } from '../ledger/ledger.ts'
import { toBytes } from '../ledger/records/codec.ts'
import { accountOf } from '../ledger/records/keys.ts'
import { type Body, GENESIS_HASH } from '../ledger/records/order.ts'
import { decodeSegment, encodeSegment, lastSeq, type Segment, withHashes } from '../ledger/records/segment.ts'
import { openStore } from '../ledger/store/store.ts'
import { keyFrom } from '../test/ledger/helpers.ts'
import { startPeer } from '../test/ledger/nodes.ts'
import { spawnNode } from '../test/ledger/spawn.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { percentile, summary } from './harness/statistics.ts'

const WITNESSES = 4
const GRANT = 1_000_000_000_000n
const ACCOUNTS = 8
const ORDERS = 100_000
const RUN = 500
const JOIN_ACCOUNTS = 10_000

export const metrics: Record<string, string> = {
  'ledger.transfers':
    'certified transfers per second of one account, all asked for at once, 4 witness processes',
  'ledger.transfers.8-accounts': 'the same from 8 accounts at once, whose nodes share one process',
  'ledger.transfer-p50': 'one certified transfer, from the call to the certificate: median of a run',
  'ledger.escrow-p50': 'one escrow, from the call to the signed order on own disk: median of a run',
  'ledger.settle-1000': 'settlement of one job with 1,000 workers, until it is certified',
  'ledger.bytes': 'bytes in the log per settled pair of job and worker, jobs of one worker in batches',
  'ledger.join': 'start of a new node until it has a checkpoint of 10,000 accounts from a witness',
  'ledger.replay': 'balances of 100,000 orders from disk: read, decode, hash, count'
}

export async function run({ quick }: RunOptions): Promise<Row[]> {
  const runs = quick ? 1 : 5
  return [...(await network(runs, quick)), ...(await join10000(runs)), await replay(runs)]
}

interface Client {
  ledger: Ledger
  directory: string
  stop(): Promise<void>
}

async function startClient(
  network: LedgerNetwork,
  key: string,
  peers: string[],
  root: string
): Promise<Client> {
  const privateKey = keyFrom(key)
  const { ipfs, libp2p } = await startPeer(privateKey)
  const directory = join(root, key)
  const ledger = createLedger({ network, directory, privateKey })({
    libp2p: libp2p as never,
    ipfs,
    logger: defaultLogger()
  })
  await ledger.start()
  for (const peer of peers) await libp2p.dial(multiaddr(peer))
  return {
    ledger,
    directory,
    stop: async () => {
      await ledger.stop()
      await libp2p.stop()
    }
  }
}

async function network(runs: number, quick: boolean): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const root = await mkdtemp(join(tmpdir(), 'artel-bench-ledger-'))
  stack.defer(() => rm(root, { recursive: true, force: true }))
  const keys = Array.from({ length: WITNESSES }, (_, i) => `bench witness ${i}`)
  const network: LedgerNetwork = {
    id: 'bench',
    witnesses: keys.map(key => createSigner(keyFrom(key)).account),
    grantMicro: GRANT,
    grantBits: 0
  }
  const peers: string[] = []
  for (const key of keys) {
    const definition = { ...network, grantMicro: String(GRANT) }
    const node = await spawnNode({
      network: definition,
      key,
      directory: join(root, key),
      connectTo: [...peers]
    })
    stack.defer(() => node.kill())
    peers.push(node.addresses[0]!)
  }
  const clients: Client[] = []
  const startOne = async (): Promise<Client> => {
    const client = await startClient(network, `bench client ${clients.length}`, peers, root)
    stack.defer(client.stop)
    await client.ledger.claimGrant()
    clients.push(client)
    return client
  }
  const { ledger, directory } = await startOne()
  const to = workerOf(0)

  const many = quick ? 1_000 : 10_000
  const transfers = (from: Ledger, count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, () => from.transfer(to, 1n)))
  const one: number[] = []
  const eight: number[] = []
  const single: number[] = []
  const escrows: number[] = []
  const settle: number[] = []
  await transfers(ledger, many / 10)
  for (let run = 0; run < runs; run++) {
    one.push(many / (await seconds(() => transfers(ledger, many))))
    single.push(await medianMs(quick ? 20 : 200, () => ledger.transfer(to, 1n)))
    escrows.push(await medianMs(quick ? 20 : 500, i => ledger.escrow(`bench-${run}-${i}`, 10n)))
    const payments = Array.from({ length: 1_000 }, (_, i) => ({ to: workerOf(i), amount: 1n, slices: 1 }))
    await (await ledger.escrow(`bench-${run}`, 1_000n)).certified
    settle.push(1000 * (await seconds(() => ledger.settle(`bench-${run}`, payments))))
  }
  while (clients.length < ACCOUNTS) await startOne()
  for (let run = 0; run < runs; run++) {
    const each = many / ACCOUNTS
    eight.push(many / (await seconds(() => Promise.all(clients.map(c => transfers(c.ledger, each))))))
  }
  const bytes = await bytesPerPair(ledger, directory, to, quick ? 200 : 2_000)
  return [
    summary('ledger.transfers', '1/s', one),
    summary('ledger.transfers.8-accounts', '1/s', eight),
    summary('ledger.transfer-p50', 'ms', single),
    summary('ledger.escrow-p50', 'ms', escrows),
    summary('ledger.settle-1000', 'ms', settle),
    summary('ledger.bytes', 'bytes', [bytes])
  ]
}

/** Escrow and settlement of many small jobs, and what the logs have grown by when all are in. */
async function bytesPerPair(ledger: Ledger, directory: string, to: string, jobs: number): Promise<number> {
  const size = (): number => {
    const db = new DatabaseSync(join(directory, 'ledger.sqlite'), { readOnly: true })
    const row = db.prepare('SELECT total(length(bytes)) AS bytes FROM entries').get()
    const open = db.prepare('SELECT count(*) AS count FROM segments WHERE logged = 0').get()
    db.close()
    return open?.count === 0 ? (row?.bytes as number) : Number.NaN
  }
  const settled = async (): Promise<number> => {
    for (;;) {
      const now = size()
      if (!Number.isNaN(now)) return now
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  const before = await settled()
  const work = Array.from({ length: jobs }, async (_, i) => {
    await ledger.escrow(`bench-bytes-${i}`, 10n)
    await ledger.settle(`bench-bytes-${i}`, [{ to, amount: 7n, slices: 3 }])
  })
  await Promise.all(work)
  return ((await settled()) - before) / jobs
}

async function join10000(runs: number): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const root = await mkdtemp(join(tmpdir(), 'artel-bench-join-'))
  stack.defer(() => rm(root, { recursive: true, force: true }))
  const key = 'bench witness 0'
  const signer = createSigner(keyFrom(key))
  const network: LedgerNetwork = { id: 'join', witnesses: [signer.account], grantMicro: GRANT, grantBits: 0 }
  const checkpoint: Checkpoint = {
    epoch: 0,
    next: 20_000,
    lengths: [0],
    granted: GRANT * BigInt(JOIN_ACCOUNTS),
    accounts: new Map(Array.from({ length: JOIN_ACCOUNTS }, (_, i) => [workerOf(i), accountState(i)]))
  }
  const bytes = encodeCheckpoint(network.id, checkpoint)
  const signature = signer.sign(CHECKPOINT_DOMAIN, checkpointMessage(network, 20_000, checkpointHash(bytes)))
  const store = openStore(join(root, key))
  store.putCheckpoint({ next: 20_000, bytes, votes: toBytes(votesToTuple([{ witness: 0, signature }])) })
  store.close()
  const definition = { ...network, grantMicro: String(GRANT) }
  const witness = await spawnNode({ network: definition, key, directory: join(root, key), connectTo: [] })
  stack.defer(() => witness.kill())
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    const client = await startClient(network, `bench joiner ${run}`, witness.addresses, root)
    while (client.ledger.epoch() !== 20_000) await new Promise(resolve => setTimeout(resolve, 5))
    if (client.ledger.balances().size !== JOIN_ACCOUNTS) throw new Error('accounts are missing')
    times.push(performance.now() - start)
    await client.stop()
  }
  return [summary('ledger.join', 'ms', times)]
}

function accountState(i: number) {
  const record = {
    ...emptyRecord(),
    firstDay: 19_000,
    lastDay: 19_999,
    accepted: 30 * i,
    days: Array.from({ length: 30 }, (_, day): [number, number, number] => [19_970 + day, i, 0]),
    partners: Array.from({ length: 10 }, (_, n) => hex(`partner ${i} ${n}`).slice(0, 16)).sort()
  }
  const tip = createHash('sha256').update(`tip ${i}`).digest()
  return {
    seq: i,
    tip,
    available: GRANT,
    reserved: 0n,
    escrows: new Map<string, bigint>(),
    granted: true,
    frozen: false,
    record
  }
}

async function replay(runs: number): Promise<Row> {
  const network: LedgerNetwork = { id: 'replay', witnesses: [], grantMicro: GRANT, grantBits: 0 }
  const store = openStore()
  const senders = 100
  for (let sender = 0; sender < senders; sender++) {
    let prev: Uint8Array = GENESIS_HASH
    for (let seq = 0; seq < ORDERS / senders; seq += RUN) {
      const orders = Array.from(
        { length: RUN },
        (_, i): Body =>
          seq + i === 0
            ? { type: 'grant', timeS: 0, amount: GRANT, nonce: 0 }
            : { type: 'transfer', timeS: 0, to: workerOf((sender + i) % senders), amount: 1n, memo: '' }
      )
      const signature = new Uint8Array(64)
      const run: Segment = { account: workerOf(sender), seq, prev, orders, signature, votes: [] }
      prev = withHashes(network, run).hashes.at(-1)!
      const row = { account: run.account, first: seq, last: lastSeq(run), added: 0, mine: false }
      store.putSegment({ ...row, bytes: encodeSegment(run) }, true)
    }
  }
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    const book = createBook(network)
    for (const { bytes } of store.segments()) book.add(decodeSegment(bytes, network))
    if (book.supply().total !== GRANT * BigInt(senders)) throw new Error('credits vanished')
    times.push(performance.now() - start)
  }
  store.close()
  return summary('ledger.replay', 'ms', times)
}

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')
const workerOf = (i: number): string => accountOf(createHash('sha256').update(`bench worker ${i}`).digest())

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

async function medianMs(count: number, work: (i: number) => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < count; i++) times.push(1000 * (await seconds(() => work(i))))
  return percentile(times, 50)
}
