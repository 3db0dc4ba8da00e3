import { z } from 'zod'
import { group, micro, operation } from '../host/index.ts'
import { supply } from './credits.ts'

const count = z.number().int().nonnegative()
/** A search of the DHT ends by itself; a page need not wait for the last. */
export const FIND_DEADLINE_MS = 2_000

export const workerInfo = z.object({
  peer: z.string(),
  class: z.string().describe('determinism class: V8 version and architecture'),
  slots: count,
  walled: z.boolean(),
  multiplier: z.number(),
  minPrice: micro.describe('micro-credits per CPU second below which it refuses'),
  refusal: z.string().optional().describe('why it refused last'),
  connected: z.boolean(),
  leased: count,
  accepted: count,
  failed: count
})
export type WorkerInfo = z.output<typeof workerInfo>

export const peerRow = z.object({
  peer: z.string(),
  address: z.string(),
  direction: z.enum(['inbound', 'outbound']),
  rttMs: z.number().optional().describe('last measured round trip'),
  worker: workerInfo.optional().describe('what it offers, where it is one')
})
export type PeerRow = z.output<typeof peerRow>

const networkView = z.object({
  version: z.string(),
  id: z.string().describe('peer id and account of the node'),
  role: z.string(),
  network: z.string(),
  name: z.string(),
  addresses: z.array(z.string()),
  peers: count,
  workers: count,
  slots: count.describe('of all workers known'),
  walled: z.boolean(),
  pid: z.int(),
  dashboard: z.string().optional().describe('where it is served'),
  epoch: z.int(),
  witnesses: z.array(z.string()),
  supply,
  market: z.number().describe('market factor now; 1 is the base price')
})
export type Network = z.output<typeof networkView>

export const serviceHealth = z.object({
  service: z.string(),
  version: count,
  summary: z.string(),
  state: z.enum(['off', 'starting', 'running', 'degraded', 'failed']),
  reason: z.string().optional().describe('why; told to who may read'),
  error: z.string().optional().describe('name of the error with which it failed; told to who may read'),
  retryAt: z.number().optional().describe('when it is started again, ms since 1970')
})
const offered = z.object({ service: z.string(), providers: z.array(z.string()) })
const servicesView = z.object({
  announced: z.array(
    z.object({ service: z.string(), holders: count.describe('nodes that took the last announcement') })
  ),
  items: z.array(offered).describe('empty where nobody was to be looked for'),
  here: z.array(serviceHealth).describe('of this node')
})
export type ServicesView = z.output<typeof servicesView>

const read = { scope: 'read', command: false } as const

export const network = group({
  name: 'network',
  summary: 'this node, its peers, and what they offer each other',
  operations: {
    network: operation({
      summary: 'This node and the network as it sees it',
      input: z.object({}),
      output: networkView,
      http: { method: 'GET', path: '/network' },
      ...read
    }),
    peers: operation({
      summary: 'Connected peers',
      input: z.object({}),
      output: z.object({ items: z.array(peerRow) }),
      http: { method: 'GET', path: '/peers' },
      ...read
    }),
    offers: operation({
      summary: 'Workers that this node knows, connected or from their offers',
      input: z.object({}),
      output: z.object({ items: z.array(workerInfo) }),
      http: { method: 'GET', path: '/offers' },
      ...read
    }),
    services: operation({
      summary: 'What this node offers, and who offers what in the network',
      description: `The search takes up to ${FIND_DEADLINE_MS / 1000} s; without \`find\` what is known comes at once.`,
      input: z.object({
        find: z.boolean().default(true).describe('look for others too'),
        names: z
          .array(z.string().max(100))
          .max(20)
          .optional()
          .describe('services to look for besides, as in artel/compute/1; only for the owner (admin)')
      }),
      output: servicesView,
      http: { method: 'GET', path: '/services' },
      ...read
    })
  }
})
