import { z } from 'zod'
import { allows } from '../../host/index.ts'
import { type App, type Context, problems } from '../app.ts'
import { health, ready } from '../schema.ts'

const tags = ['this node']

export function systemRoutes(app: App, { node, services, metrics }: Context): void {
  app.route({
    method: 'GET',
    url: '/health',
    schema: {
      operationId: 'health',
      summary: 'Whether it answers, and how its services are',
      tags,
      response: { 200: health }
    },
    handler: async ({ grant }) => ({
      status: 'ok' as const,
      services: services
        .health()
        // one that is off has no health
        .filter(({ state }) => state !== 'off')
        .map(each => (grant != null && allows(grant, 'read') ? each : { ...each, reason: undefined }))
    })
  })

  app.route({
    method: 'GET',
    url: '/ready',
    schema: {
      operationId: 'ready',
      summary: 'Whether it can do a job now, or why not',
      tags,
      response: { 200: ready, 503: ready }
    },
    handler: async (_, reply) => {
      const reasons = node.unready()
      return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons })
    }
  })

  app.route({
    method: 'GET',
    url: '/metrics',
    config: { scope: 'read' },
    schema: {
      operationId: 'metrics',
      summary: 'Figures for Prometheus',
      tags,
      response: { 200: { content: { 'text/plain': { schema: z.string() } } }, ...problems }
    },
    handler: async (_, reply) =>
      reply.header('content-type', metrics.contentType).send(await metrics.metrics())
  })
}
