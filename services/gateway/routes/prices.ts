import { z } from 'zod'
import { type App, type Context, problems } from '../app.ts'
import { plain } from '../plain.ts'
import { forecast, quoteView, taskTypes } from '../schema.ts'
import { taskTypeViews } from '../task-types.ts'

const SPEC_BYTES = 64 * 1024 * 1024
/** A calibration runs a unit of the job here. */
const QUOTE_MS = 60_000
const tags = ['prices']

export function priceRoutes(app: App, { scheduler }: Context): void {
  app.route({
    method: 'POST',
    url: '/quote',
    config: { scope: 'submit', deadlineMs: QUOTE_MS },
    bodyLimit: SPEC_BYTES,
    schema: {
      operationId: 'quote',
      summary: 'What a task will cost; nothing is submitted',
      tags,
      body: z.unknown().meta({ $ref: '#/components/schemas/TaskSpec' }),
      response: { 200: quoteView, ...problems }
    },
    handler: async ({ body, deadline: signal }) => {
      const quote = await scheduler.quote(body, { signal })
      return { quote: plain(quote), forecast: scheduler.forecast() }
    }
  })

  app.route({
    method: 'GET',
    url: '/forecast',
    config: { scope: 'read' },
    schema: {
      operationId: 'forecast',
      summary: 'The price level now, in one hour and in six',
      tags,
      response: { 200: forecast, ...problems }
    },
    handler: async () => scheduler.forecast()
  })

  app.route({
    method: 'GET',
    url: '/types',
    config: { scope: 'read' },
    schema: {
      operationId: 'types',
      summary: 'Every task type: what it takes, an example, its limits',
      tags,
      response: { 200: taskTypes, ...problems }
    },
    handler: async () => taskTypeViews()
  })
}
