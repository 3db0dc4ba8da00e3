import { networkId } from '../bootstrap/index.ts'
import {
  answerCredits,
  answerData,
  answerNetwork,
  answerSettings,
  credits,
  data,
  network,
  type PeerRow,
  release,
  settings
} from '../services/index.ts'
import { settingsTable } from './config.ts'
import type { ArtelNode } from './contract.ts'
import { metricsOf } from './metrics.ts'
import { createUpdates, type UpdatesInit } from './updates.ts'
import { VERSION } from './version.ts'

/** Answers what every node can be asked; `signal` is aborted when the node stops. `restart`: see `createUpdates`. */
export function answerCore(node: ArtelNode, signal: AbortSignal, restart: UpdatesInit['restart']): void {
  const { ledger, scheduler, directory, services } = node
  services.provide(data, answerData({ scheduler }))
  services.provide(credits, answerCredits({ ledger }))
  services.provide(
    network,
    answerNetwork({
      scheduler,
      ledger,
      directory,
      services,
      signal,
      status: () => ({
        version: VERSION,
        id: node.id,
        role: node.role,
        network: networkId(node.network),
        name: node.network.name,
        witnesses: [...node.network.witnesses],
        addresses: node.addresses(),
        peers: node.libp2p.getPeers().length,
        workers: scheduler.workers().length,
        walled: node.sandbox.walled,
        ...(node.gateway?.url == null ? {} : { dashboard: node.gateway.url }),
        pid: process.pid
      }),
      peers: () => peersOf(node)
    })
  )
  services.provide(
    release,
    createUpdates({
      data: node.config.data,
      signers: () => [node.id, ...node.config.releaseSigners],
      health: () => services.health(),
      restart
    })
  )
  services.provide(
    settings,
    answerSettings({
      services,
      config: () =>
        settingsTable(node.config).map(({ setting, value }) => ({
          setting: setting.path.join('.'),
          value,
          default: setting.default,
          description: setting.description,
          live: setting.live
        })),
      configure: node.configure,
      unready: () => [
        ...(ledger.balance().available > 0n ? [] : ['no credits: none are granted yet, or all are spent']),
        ...(scheduler.workers().length > 0 ? [] : ['no worker is known, and this node lends nothing itself'])
      ],
      metrics: () => metricsOf(node)
    })
  )
}

/** Who is connected; the newest connection of each. */
export function peersOf({ libp2p, scheduler }: Pick<ArtelNode, 'libp2p' | 'scheduler'>): PeerRow[] {
  const workers = new Map(scheduler.workers().map(worker => [worker.peer, worker]))
  const rows = new Map<string, PeerRow>()
  for (const connection of libp2p.getConnections()) {
    const peer = connection.remotePeer.toString()
    const worker = workers.get(peer)
    rows.set(peer, {
      peer,
      address: connection.remoteAddr.toString(),
      direction: connection.direction,
      ...(connection.rtt == null ? {} : { rttMs: connection.rtt }),
      ...(worker == null ? {} : { worker })
    })
  }
  return [...rows.values()]
}
