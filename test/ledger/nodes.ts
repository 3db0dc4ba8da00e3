import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import * as dagCbor from '@ipld/dag-cbor'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { ComponentLogger, ConnectionGater, Libp2p, PrivateKey } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { createLibp2p } from 'libp2p'
import { ledgerTopic } from '../../bootstrap/index.ts'
import { MALFORMED_COSTS } from '../../bootstrap/libp2p-options.ts'
import type { Ledger, LedgerNetwork } from '../../ledger/index.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { patient } from '../bootstrap/patient.ts'

export interface TestNode {
  ledger: Ledger
  libp2p: Libp2p
  directory: string
  account: string
  privateKey: PrivateKey
  /** Stops the node and keeps its folder. */
  stop(): Promise<void>
}

export const newKey = (): Promise<PrivateKey> => generateKeyPair('Ed25519')
export const accountIdOf = (key: PrivateKey): string => peerIdFromPrivateKey(key).toString()

export interface PeerInit {
  /** default: loopback */
  host?: string
  connectionGater?: ConnectionGater
  /** where malformed messages count against a peer, as bootstrap/ has it */
  strictTopic?: string
}

/**
 * libp2p, and blocks in memory for the manifests of OrbitDB: the ledger fetches none from others. Helia itself would
 * double the time that a process takes to start.
 */
export async function startPeer(
  privateKey: PrivateKey,
  { host = '127.0.0.1', connectionGater, strictTopic }: PeerInit = {}
): Promise<{ ipfs: unknown; libp2p: Libp2p<any> }> {
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: [`/ip4/${host}/tcp/0`] },
    connectionGater,
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    ...patient,
    services: {
      identify: identify(),
      pubsub: gossipsub({
        allowPublishToZeroTopicPeers: true,
        floodPublish: true,
        scoreParams: {
          IPColocationFactorWeight: 0,
          topics: strictTopic == null ? {} : { [strictTopic]: MALFORMED_COSTS }
        }
      })
    }
  })
  const blocks = new Map<string, Uint8Array>()
  const blockstore = {
    put: async (cid: unknown, bytes: Uint8Array) => void blocks.set(String(cid), bytes),
    get: async function* (cid: unknown) {
      yield blocks.get(String(cid))!
    }
  }
  const pins = { isPinned: async () => true }
  return { ipfs: { libp2p, blockstore, pins }, libp2p }
}

export interface NodeInit {
  network: LedgerNetwork
  privateKey?: PrivateKey
  directory?: string
  connectTo?: TestNode[]
  logger?: ComponentLogger
  start?: boolean
  archive?: boolean
  now?: () => number
  /** malformed gossip counts against whoever sends it */
  strict?: boolean
}

/** A node with a ledger in a folder of its own. */
export async function startNode(init: NodeInit): Promise<TestNode> {
  const privateKey = init.privateKey ?? (await newKey())
  const directory = init.directory ?? (await mkdtemp(join(tmpdir(), 'artel-ledger-')))
  const strictTopic = init.strict === true ? ledgerTopic(init.network.id) : undefined
  const { ipfs, libp2p } = await startPeer(privateKey, { strictTopic })
  const ledger = createLedger({
    network: init.network,
    directory,
    privateKey,
    archive: init.archive,
    now: init.now
  })({ libp2p: libp2p as any, ipfs, logger: init.logger ?? defaultLogger() })
  try {
    if (init.start !== false) await ledger.start()
  } catch (error) {
    // or its sockets keep the process
    await libp2p.stop()
    throw error
  }
  for (const peer of init.connectTo ?? []) await libp2p.dial(peer.libp2p.getMultiaddrs())
  return {
    ledger,
    libp2p,
    directory,
    account: ledger.account,
    privateKey,
    stop: async () => {
      await ledger.stop()
      await libp2p.stop()
    }
  }
}

/** A network with its witnesses started, and a way to add nodes; everything ends with `stop`. */
export interface TestNetwork {
  network: LedgerNetwork
  witnesses: TestNode[]
  join(init?: Partial<NodeInit>): Promise<TestNode>
  stop(): Promise<void>
}

export async function startNetwork(
  count: number,
  init: { grantMicro?: bigint; grantBits?: number } & Pick<NodeInit, 'now' | 'strict'> = {}
): Promise<TestNetwork> {
  const keys = await Promise.all(Array.from({ length: count }, newKey))
  const network: LedgerNetwork = {
    id: `test-${accountIdOf(keys[0]!).slice(-8)}`,
    witnesses: keys.map(accountIdOf),
    grantMicro: init.grantMicro ?? 100_000_000n,
    grantBits: init.grantBits ?? 0
  }
  const nodes: TestNode[] = []
  const witnesses: TestNode[] = []
  for (const privateKey of keys) {
    const node = await startNode({ ...init, network, privateKey, connectTo: witnesses })
    witnesses.push(node)
    nodes.push(node)
  }
  return {
    network,
    witnesses,
    join: async nodeInit => {
      const node = await startNode({ ...init, network, connectTo: witnesses, ...nodeInit })
      nodes.push(node)
      return node
    },
    stop: async () => {
      await Promise.all(nodes.map(node => node.stop()))
      await Promise.all(nodes.map(node => rm(node.directory, { recursive: true, force: true })))
    }
  }
}

/** Waits for a condition with a deadline; says what it waited for. */
export async function until(what: string, isTrue: () => boolean, deadlineMs = 240_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Balances as text, for comparing nodes. */
export const bookOf = ({ ledger }: TestNode): string =>
  [...ledger.balances()]
    .filter(([, { available, reserved }]) => available + reserved > 0n)
    .map(([account, { available, reserved }]) => `${account} ${available} ${reserved}`)
    .sort()
    .join('\n')

/** A question over a stream of its own, as anybody can write one. */
export async function ask(
  libp2p: Libp2p,
  network: string,
  to: string,
  method: string,
  body: unknown
): Promise<unknown> {
  const signal = AbortSignal.timeout(240_000)
  const stream = await libp2p.dialProtocol(peerIdFromString(to), `/artel/${network}/ledger/1`, { signal })
  const lp = lpStream(stream)
  try {
    await lp.write(dagCbor.encode([1, method, body]), { signal })
    return (dagCbor.decode((await lp.read({ signal })).subarray()) as unknown[])[1]
  } finally {
    stream.abort(new Error('asked'))
  }
}

/** Asks the first witness as a stranger would. */
export async function askWitness(
  { network, witnesses }: TestNetwork,
  method: string,
  body: unknown
): Promise<unknown> {
  const { libp2p } = await startPeer(await newKey())
  try {
    await libp2p.dial(witnesses[0]!.libp2p.getMultiaddrs())
    return await ask(libp2p, network.id, witnesses[0]!.account, method, body)
  } finally {
    await libp2p.stop()
  }
}

/** Answers every request of the ledger's protocol with the same. */
export async function answerAll({ libp2p }: TestNode, network: string, answer: () => unknown): Promise<void> {
  await libp2p.handle(`/artel/${network}/ledger/1`, async stream => {
    const lp = lpStream(stream)
    for (;;) {
      const [id] = dagCbor.decode((await lp.read()).subarray()) as [number]
      await lp.write(dagCbor.encode([id, answer()]))
    }
  })
}
