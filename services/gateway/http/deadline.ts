import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { DEFAULT_DEADLINE_MS, OverdueError } from '../../host/index.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** within which the answer begins once the request is there; default 30 s */
    deadlineMs?: number
  }
}

/** When a route answers at the latest. */
export const deadlineOf = ({ config }: Pick<RouteOptions, 'config'>): number =>
  config?.deadlineMs ?? DEFAULT_DEADLINE_MS

/**
 * No request waits for ever: a route that has not begun to answer by its deadline answers OverdueError. Before the routes;
 * operations of services keep their own.
 */
export function keepDeadlines(app: FastifyInstance): void {
  app.addHook('onRoute', route => {
    // a socket has no answer
    if (route.config?.described != null || ('websocket' in route && route.websocket === true)) return
    const ms = deadlineOf(route)
    const handler = route.handler as (req: FastifyRequest, reply: FastifyReply) => unknown
    route.handler = function inTime(req, reply) {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => {
        // a stream that has begun ends by itself
        if (reply.sent || reply.raw.headersSent) return
        late.reject(new OverdueError(`${route.method} ${route.url} took more than ${ms} ms`))
      }, ms)
      reply.raw.once('close', () => clearTimeout(timer))
      const answer = handler.call(this, req, reply)
      if (answer instanceof Promise) return Promise.race([answer, late.promise])
      // it has answered already, or does when it is ready to
      late.promise.catch(() => {})
      return answer
    }
  })
}
