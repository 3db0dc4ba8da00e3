import { type App, type Context, problems } from '../app.ts'
import { config, configPatch, contribution, contributionPatch } from '../schema.ts'

const tags = ['this node']
const read = { scope: 'read' } as const
const admin = { scope: 'admin' } as const

export function settingRoutes(app: App, { node }: Context): void {
  app.route({
    method: 'GET',
    url: '/config',
    config: read,
    schema: {
      operationId: 'config',
      summary: 'Every setting with its value',
      tags,
      response: { 200: config, ...problems }
    },
    handler: async () => ({ items: node.config() })
  })

  app.route({
    method: 'PATCH',
    url: '/config',
    config: admin,
    schema: {
      operationId: 'configure',
      summary: 'Change settings: all of them or none',
      tags,
      body: configPatch,
      response: { 200: config, ...problems }
    },
    handler: async ({ body }) => {
      await node.configure(body)
      return { items: node.config() }
    }
  })

  app.route({
    method: 'GET',
    url: '/contribution',
    config: read,
    schema: {
      operationId: 'contribution',
      summary: 'What this machine lends, and what it did today',
      tags,
      response: { 200: contribution, ...problems }
    },
    handler: async () => node.contribution()
  })

  app.route({
    method: 'PATCH',
    url: '/contribution',
    config: admin,
    schema: {
      operationId: 'contribute',
      summary: 'Lend more or less, at once',
      tags,
      body: contributionPatch,
      response: { 200: contribution, ...problems }
    },
    handler: async ({ body }) => node.contribute(body)
  })
}
