import { setTimeout as delay } from 'node:timers/promises'
import type { Libp2pOptions } from 'libp2p'
import { createHeliaNode } from '../../bootstrap/helia-node.ts'
import {
  type ArtelServices,
  createIdentity,
  createNetwork,
  type HeliaNode,
  type Identity,
  type Libp2pOptionsInit,
  type NetworkDefinition
} from '../../bootstrap/index.ts'
import { libp2pOptions } from '../../bootstrap/libp2p-options.ts'
import { patient } from './patient.ts'

/** Waits until `condition` holds; the deadline only ends a test that has failed anyway. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, deadlineMs = 240_000) {
  const begun = Date.now()
  while (!(await condition())) {
    const waited = Date.now() - begun
    if (waited > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    // who waits long looks seldom: a look may cost others their time
    await delay(Math.min(20 + waited / 20, 250))
  }
}

const { pid } = process
const OWN_HOST = `127.${64 + ((pid >> 16) & 63)}.${(pid >> 8) & 255}.${pid & 255}`
let port = 20_000

/**
 * Where only this process of tests listens: for an address that is told before somebody listens there, or that somebody
 * comes back to. A port of 127.0.0.1 that was free once may by then be anybody's.
 */
export function ownAddress(): { host: string; port: number; listen: string } {
  port += 1
  return { host: OWN_HOST, port, listen: `/ip4/${OWN_HOST}/tcp/${port}` }
}

/** In-memory nodes on loopback, which wait for each other as long as a test does; `stop` ends them all. */
export class TestNetwork {
  readonly seed: Identity
  readonly network: NetworkDefinition
  readonly nodes: HeliaNode[] = []

  constructor(seed: Identity, network: NetworkDefinition) {
    this.seed = seed
    this.network = network
  }

  static async create(init: { preSharedKey?: string } = {}): Promise<TestNetwork> {
    const seed = await createIdentity()
    return new TestNetwork(seed, await createNetwork({ name: 'test', ...init }, seed.privateKey))
  }

  async start(
    init: Partial<Libp2pOptionsInit> & { folder?: string } = {},
    change: (options: Libp2pOptions<ArtelServices>) => void = () => {}
  ): Promise<HeliaNode> {
    const { folder, ...rest } = init
    const identity = init.identity ?? (await createIdentity())
    const options = libp2pOptions({ network: this.network, ...rest, identity })
    const { inboundConnectionThreshold: _, ...timeouts } = patient.connectionManager
    Object.assign(options.connectionManager!, timeouts)
    change(options)
    const node = await createHeliaNode({ libp2p: options, ...(folder == null ? {} : { folder }) })
    this.nodes.push(node)
    return node
  }

  startSeed(init: Partial<Libp2pOptionsInit> = {}, change?: (options: Libp2pOptions<ArtelServices>) => void) {
    return this.start({ role: 'seed', identity: this.seed, ...init }, change)
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map(node => node.stop()))
  }
}

export function address(node: Pick<HeliaNode, 'libp2p'>): string {
  return node.libp2p.getMultiaddrs()[0]!.toString()
}

export function isConnected(a: HeliaNode, b: HeliaNode): boolean {
  return a.libp2p.getPeers().some(peer => peer.equals(b.libp2p.peerId))
}
