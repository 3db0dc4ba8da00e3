import { z } from 'zod'
import { UnknownJobError } from '../../compute/index.ts'
import { type App, type Context, problems } from '../http/app.ts'
import { streamJob } from './event-stream.ts'

/** Beside the operation `follow`: it writes nothing but what is newest to slow readers. */
export function jobEventRoutes(app: App, { scheduler, stopping }: Context): void {
  app.route({
    method: 'GET',
    url: '/tasks/:id/events',
    config: { scope: 'read' },
    schema: {
      operationId: 'jobEvents',
      summary: 'Progress and end of a job, as server-sent events',
      description: 'Events `progress` (Progress) and, last, `end` (JobReport).',
      tags: ['compute'],
      params: z.object({ id: z.string().min(1).max(64) }),
      response: { 200: { content: { 'text/event-stream': { schema: z.string() } } }, ...problems }
    },
    handler: (req, reply) => {
      const job = scheduler.job(req.params.id)
      if (job == null) throw new UnknownJobError(req.params.id)
      reply.hijack()
      streamJob(job, reply.raw, reply.getHeaders() as Record<string, string>, stopping)
    }
  })
}
