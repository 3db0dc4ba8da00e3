import type { ComponentLogger, Startable } from '@libp2p/interface'
import type { Ledger } from '../../ledger/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import type { PeerRow } from '../core/index.ts'
import type { Entries, Homes, Lockers, People, Services } from '../host/index.ts'

export interface GatewayInit {
  /** default: 127.0.0.1 */
  host: string
  /** 0: any free one */
  port: number
  /** Nobody asked for this very port: when it is in use, take a free one. */
  portIsDefault?: boolean
  /** keeps tokens and accounts; `gateway.json` there tells clients of this machine the address */
  dataFolder: string
  /** web origins beside our own that may call, as in https://example.org */
  origins: readonly string[]
  /** further names that the Host header may have, for a node behind a proxy */
  serverNames?: readonly string[]
  /** addresses of proxies whose word counts for whose request it is (X-Forwarded-For) and how it came (-Proto) */
  trustedProxyHosts?: readonly string[]
  /** folder of the built dashboard; without it only the API is served */
  ui?: string
  /** serve the page on which browsers of the public are lent */
  volunteers?: boolean
  /** a listener beside it, for one service alone */
  face?: FaceInit
}

/** A listener that shows one service and nothing else: its page, its operations, what it tells, and signing in to it. */
export interface FaceInit {
  /** beside it this machine reaches it at 127.0.0.1, without TLS */
  host: string
  port: number
  /** PEM; then passwords travel from other machines, too */
  tls?: { cert: Buffer; key: Buffer }
  service: string
  /** others whose operations its page calls */
  groups: readonly string[]
  /** of the built dashboard: what / shows */
  page: string
  /** stands there also where it is not built */
  title: string
}

/** HTTP API and dashboard of one node. */
export interface Gateway extends Startable {
  /** http://host:port, or undefined while it is not started */
  readonly url: string | undefined
  /** of the listener of one service, where there is one */
  readonly faceUrl: string | undefined
  /** the admin token of the data folder; made at the first start */
  readonly token: string | undefined
  /** its people, for services; undefined while it is not started */
  readonly people: People | undefined
  /** who comes in, for services; undefined while it is not started */
  readonly entries: Entries | undefined
}

export interface GatewayComponents {
  scheduler: GatewayScheduler
  ledger: Pick<
    Ledger,
    'account' | 'balance' | 'escrowOf' | 'supply' | 'addEventListener' | 'removeEventListener'
  >
  services: Pick<
    Services,
    'groups' | 'modules' | 'provide' | 'call' | 'health' | 'addEventListener' | 'removeEventListener'
  >
  /** homes of people who sign in here with name@home, where a service knows some */
  homes(): Homes | undefined
  /** what passwords of people here open, where a service has something sealed */
  lockers(): Lockers | undefined
  node: GatewayNode
  /** the one table from the name of an error to its HTTP status */
  verdict(error: { name: string }): { status: number }
  /** what a disk or a database said, in terms of the data folder; other errors as they are */
  explain(error: Error): Error
  logger: ComponentLogger
}

/** What the gateway uses of the scheduler. */
export type GatewayScheduler = Pick<Scheduler, 'addEventListener' | 'job' | 'removeEventListener'>

/** The node itself, as the shell around the rooms knows it. */
export interface GatewayNode {
  readonly version: string
  readonly networkName: string
  peers(): PeerRow[]
  /** for browsers that want to lend */
  meeting(): Promise<Meeting>
  /** what work for others takes now and how many are here, for the charts */
  usage(): { slices: number; memoryMb: number; peers: number; workers: number }
}

/** What a browser needs to find the network that it lends to. */
export interface Meeting {
  /** id of the network, under which answers are signed */
  network: string
  /** WebSocket multiaddrs with peer ids: of this node, and of others that browsers can reach */
  addresses: string[]
}

/** What a browser that lends asks of the ledger: how far a job that it worked for is secured, and whether it still is. */
export interface Escrow {
  /** micro-credits, decimal */
  bound: string
  isOpen: boolean
}
