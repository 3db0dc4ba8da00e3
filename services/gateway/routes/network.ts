import { z } from 'zod'
import { COMPUTE_SERVICE } from '../../directory/index.ts'
import { type App, type Context, problems } from '../app.ts'
import { plain, plainWorker } from '../plain.ts'
import { network, offers, peers, type Services, services } from '../schema.ts'

/** A search of the DHT costs other nodes; who asks again so soon gets the same. */
const FOUND_MS = 15_000
/** Among 20 nodes the first provider takes milliseconds; a page need not wait for the last. */
const FIND_DEADLINE_MS = 2_000
const FIND_LIMIT = 50
const tags = ['network']
const config = { scope: 'read' } as const

export function networkRoutes(
  app: App,
  { scheduler, ledger, directory, services: running, node, now, stopping }: Context
): void {
  let found: { at: number; items: Promise<Services['items']> } | undefined

  app.route({
    method: 'GET',
    url: '/network',
    config,
    schema: {
      operationId: 'network',
      summary: 'This node and the network as it sees it',
      tags,
      response: { 200: network, ...problems }
    },
    handler: async () => ({
      ...(await node.status()),
      name: node.network.name,
      witnesses: [...node.network.witnesses],
      slots: scheduler.workers().reduce((sum, { slots }) => sum + slots, 0),
      epoch: ledger.epoch(),
      supply: plain(ledger.supply()),
      market: scheduler.forecast().now
    })
  })

  app.route({
    method: 'GET',
    url: '/peers',
    config,
    schema: {
      operationId: 'peers',
      summary: 'Connected peers',
      tags,
      response: { 200: peers, ...problems }
    },
    handler: async () => ({ items: await node.peers() })
  })

  app.route({
    method: 'GET',
    url: '/offers',
    config,
    schema: {
      operationId: 'offers',
      summary: 'Workers that this node knows, connected or from their offers',
      tags,
      response: { 200: offers, ...problems }
    },
    handler: async () => ({ items: scheduler.workers().map(plainWorker) })
  })

  app.route({
    method: 'GET',
    url: '/services',
    config,
    schema: {
      operationId: 'services',
      summary: 'What this node offers, and who offers what in the network',
      description: `The search takes up to ${FIND_DEADLINE_MS / 1000} s; without \`find\` what is known comes at once.`,
      tags,
      querystring: z.object({ find: z.stringbool().default(true).describe('look for others too') }),
      response: { 200: services, ...problems }
    },
    handler: async ({ query }) => {
      const here = running.health()
      const announced = [...directory.announced()].map(([service, holders]) => ({ service, holders }))
      if (!query.find) return { announced, items: [], here }
      if (found == null || now() - found.at > FOUND_MS) {
        const names = new Set([COMPUTE_SERVICE, ...announced.map(({ service }) => service)])
        found = { at: now(), items: Promise.all([...names].map(providersOf)) }
        // the next one tries again
        found.items.catch(() => {
          found = undefined
        })
      }
      return { announced, items: await found.items, here }
    }
  })

  async function providersOf(service: string): Promise<Services['items'][number]> {
    const providers: string[] = []
    const options = { limit: FIND_LIMIT, deadlineMs: FIND_DEADLINE_MS, signal: stopping }
    for await (const { id } of directory.find(service, options)) providers.push(id.toString())
    return { service, providers }
  }
}
