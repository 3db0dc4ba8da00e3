import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { defaultLogger } from '@libp2p/logger'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import { createSigner } from '../../ledger/index.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import { createScheduler } from '../../scheduler/create-scheduler.ts'
import type { ComputeNetwork, Scheduler } from '../../scheduler/index.ts'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import { patient } from '../bootstrap/patient.ts'
import { freeLedger } from './alone.ts'
import { openPolicy } from './open-worker.ts'

export interface NetworkNode {
  scheduler: Scheduler
  libp2p: Libp2p
  id: string
  stop(): Promise<void>
}

/** Schedulers in this process that know each other over TCP, in folders below `folder`. */
export function createWorkerNetwork({ sandbox, folder }: { sandbox: Sandbox; folder: () => string }) {
  const nodes: NetworkNode[] = []

  return {
    nodes,

    /** A node that knows all that were started before it. `change`: of the network as its scheduler sees it. */
    async start(
      slots: number,
      change: (network: ComputeNetwork) => Partial<ComputeNetwork> = () => ({})
    ): Promise<NetworkNode> {
      const privateKey = await generateKeyPair('Ed25519')
      const libp2p = await createLibp2p({
        privateKey,
        addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
        ...patient
      })
      const others = nodes.map(node => node.libp2p)
      for (const other of others) await libp2p.dial(other.getMultiaddrs())
      const base: ComputeNetwork = {
        peerId: libp2p.peerId,
        handle: (protocol, handler, options) => libp2p.handle(protocol, handler, options),
        unhandle: protocol => libp2p.unhandle(protocol),
        register: (protocol, topology) => libp2p.register(protocol, topology),
        unregister: id => libp2p.unregister(id),
        dial: (peer, options) => libp2p.dial(peer, options),
        dialProtocol: (peer, protocol, options) => libp2p.dialProtocol(peer, protocol, options),
        getConnections: peer => libp2p.getConnections(peer)
      }
      const scheduler = createScheduler(
        {
          directory: await mkdtemp(join(folder(), 'node-')),
          policy: openPolicy(slots),
          findWorkers: async function* () {
            yield* others.map(({ peerId }) => peerId)
          }
        },
        {
          network: { ...base, ...change(base) },
          sandbox,
          ledger: freeLedger(libp2p.peerId.toString()),
          signer: createSigner(privateKey),
          costs: UNCOUNTED,
          logger: defaultLogger()
        }
      )
      await scheduler.start()
      const node: NetworkNode = {
        scheduler,
        libp2p,
        id: libp2p.peerId.toString(),
        async stop() {
          nodes.splice(nodes.indexOf(node), 1)
          await scheduler.stop()
          await libp2p.stop()
        }
      }
      nodes.push(node)
      return node
    },

    async stop(): Promise<void> {
      for (const node of [...nodes]) await node.stop()
    }
  }
}
