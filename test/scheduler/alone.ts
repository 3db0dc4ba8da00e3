import type { PrivateKey } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createSigner } from '../../ledger/index.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import { createScheduler } from '../../scheduler/create-scheduler.ts'
import type { ComputeNetwork, Scheduler, SchedulerComponents } from '../../scheduler/index.ts'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'

import { openPolicy } from './open-worker.ts'

/** A ledger in which nothing costs anything. */
export const freeLedger = (account: string): SchedulerComponents['ledger'] =>
  ({
    account,
    balance: () => ({ available: 10n ** 9n, reserved: 0n }),
    network: 'test',
    hold: async () => {},
    escrow: async () => ({ certified: Promise.resolve() }),
    escrowOf: () => undefined,
    settle: async () => {},
    hurry: () => {},
    openEscrows: () => [],
    report: () => {},
    reputation: () => ({ level: 'average' }),
    transferOf: () => undefined,
    addEventListener: () => {},
    removeEventListener: () => {}
  }) as unknown as SchedulerComponents['ledger']

/** A node without peers: it works for itself. */
export function alone(
  key: PrivateKey,
  sandbox: Sandbox,
  directory: string,
  blocks?: SchedulerComponents['blocks']
): Scheduler {
  const peerId = peerIdFromPrivateKey(key)
  const network: ComputeNetwork = {
    peerId,
    handle: async () => {},
    unhandle: async () => {},
    register: async () => 'none',
    unregister: () => {},
    dial: () => Promise.reject(new Error('no peers')),
    dialProtocol: () => Promise.reject(new Error('no peers')),
    getConnections: () => []
  }
  const ledger = freeLedger(peerId.toString())
  const signer = createSigner(key)
  return createScheduler(
    { directory, policy: openPolicy(2) },
    { network, sandbox, ledger, signer, blocks, logger: defaultLogger(), costs: UNCOUNTED }
  )
}
