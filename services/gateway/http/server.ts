import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import fastify from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import type { GatewayInit } from '../contract.ts'
import { NotFoundError, RequestError } from '../errors.ts'
import { eventRoutes, MAX_MESSAGE_BYTES } from '../events/event-routes.ts'
import { jobEventRoutes } from '../events/job-events.ts'
import { operationRoutes, rootRoutes } from '../operations/operation-routes.ts'
import { PROBLEM_TYPE, WS_PROTOCOL, WS_VALUES } from '../schema.ts'
import type { App, Context } from './app.ts'
import { readBodies } from './body.ts'
import { serveDashboard, servePage } from './dashboard.ts'
import { keepDeadlines } from './deadline.ts'
import { isLoopback } from './doors.ts'
import { guard } from './guard.ts'
import { describeRoutes } from './openapi.ts'
import { personRoutes, sessionRoutes } from './person.ts'
import { problemOf } from './problem.ts'

/** Bodies of 24 GiB at 15 MB/s. Only who has a token gets as far as sending one. */
const UPLOAD_MS = 30 * 60_000
/** Every body but specs and data. */
const BODY_BYTES = 64 * 1024
const HEADER_BYTES = 16 * 1024
/** Who has not said what he wants by then. */
const HEADERS_MS = 10_000
const CHECK_MS = 2_000
/** Longer than a request that waits for its job (90 s) and than the silence between heartbeats. */
const SILENCE_MS = 120_000
const KEEP_ALIVE_MS = 30_000
/** Below the 4,096 descriptors that some systems give a process, together with those of the peers. */
const MAX_CONNECTIONS = 2_000

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY'
}

/** The HTTP server with all its routes, not listening yet. */
export async function createServer(
  init: Pick<GatewayInit, 'host' | 'serverNames' | 'trustedProxyHosts' | 'origins' | 'ui' | 'volunteers'> & {
    version: string
  },
  context: Context
): Promise<App> {
  const { verdict, explain, logger, grants, visitors, now, face } = context
  const log = logger.forComponent('artel:gateway')
  const app: App = fastify({
    bodyLimit: BODY_BYTES,
    requestTimeout: UPLOAD_MS,
    connectionTimeout: SILENCE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    trustProxy:
      init.trustedProxyHosts == null || init.trustedProxyHosts.length === 0
        ? false
        : [...init.trustedProxyHosts],
    http: { maxHeaderSize: HEADER_BYTES, headersTimeout: HEADERS_MS, connectionsCheckingInterval: CHECK_MS },
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: refuse,
    frameworkErrors: (error, _, reply) => void reply.send(error as never)
  })
  app.server.maxConnections = MAX_CONNECTIONS
  app.setValidatorCompiler(validatorCompiler)
  // The types hold at compile time and the tests validate; at run time that would cost more than the work.
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  app.setErrorHandler((thrown: Error, { routeOptions, grant }, reply) => {
    const error = explain(thrown)
    // who has a grant hears this of his home alone
    if (grant?.home != null && error.name === 'UnauthorizedError') visitors.end(grant.id)
    const problem = problemOf(error, verdict)
    if (problem.title === 'InternalError') log.error('a request failed: %e', error)
    const { retryAfter } = error as { retryAfter?: number }
    if (retryAfter != null) reply.header('retry-after', retryAfter)
    const { errorBody } = routeOptions.config
    return reply
      .code(problem.status)
      .header('content-type', errorBody == null ? PROBLEM_TYPE : 'application/json; charset=utf-8')
      .send(JSON.stringify(errorBody?.(problem) ?? problem))
  })
  app.setNotFoundHandler(({ method, url }) => {
    throw new NotFoundError(`there is no ${method} ${url.slice(0, 200)}; /docs shows what there is`)
  })
  // before the guard, so that it closes what the guard refuses to upgrade
  await app.register(websocket, {
    errorHandler: (error, socket) => {
      log('a reader of events was lost: %s', error.message)
      socket.terminate()
    },
    // its own way out is `stopping`
    preClose: done => done(),
    options: {
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
      handleProtocols: protocols => [WS_VALUES, WS_PROTOCOL].find(name => protocols.has(name)) ?? false
    }
  })
  app.addHook('onRequest', (_, reply, done) => {
    reply.headers(SECURITY_HEADERS)
    done()
  })
  guard(app, { host: init.host, serverNames: init.serverNames ?? [], origins: init.origins, now }, grants)
  if (face?.tls != null)
    app.addHook('onRequest', ({ protocol, socket, headers, url }, reply, done) => {
      if (protocol === 'https' || isLoopback(socket.remoteAddress)) done()
      else reply.redirect(`https://${headers.host}${url}`, 308)
    })
  app.addHook('onSend', (req, reply, _, done) => {
    if (req.url.startsWith('/api/') && !reply.hasHeader('cache-control'))
      reply.header('cache-control', 'no-store')
    done()
  })
  keepDeadlines(app)
  readBodies(app)
  await describeRoutes(app, init.version)
  let document: string | undefined
  app.get('/openapi.json', { schema: { hide: true } }, (_, reply) => {
    document ??= JSON.stringify(app.swagger())
    return reply.header('content-type', 'application/json; charset=utf-8').send(document)
  })
  rootRoutes(app, context)
  eventRoutes(app, context)
  await app.register(
    async api => {
      const routes = [sessionRoutes, personRoutes, operationRoutes, ...(face == null ? [jobEventRoutes] : [])]
      for (const add of routes) add(api as App, context)
    },
    { prefix: '/api/v1' }
  )
  if (face == null) {
    const { node, ledger } = context
    await serveDashboard(app, init.ui, init.volunteers ? { meeting: node.meeting, ledger } : undefined)
  } else {
    await app.register(
      async api => {
        // the same once more, where clients of the service alone look for it
        api.addHook('onRoute', route => {
          route.schema = { ...route.schema, hide: true }
        })
        sessionRoutes(api as App, context)
      },
      { prefix: `/api/v1/${face.service}` }
    )
    await servePage(app, init.ui, face)
  }
  await app.ready()
  return app
}

/** What is not even HTTP, or has not become a request in time. */
function refuse(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const [status, detail] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', `headers of more than ${HEADER_BYTES} bytes`]
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request did not come in time']
        : ['400 Bad Request', 'this is not a request']
  const { name } = new RequestError()
  const body = JSON.stringify({
    type: `urn:artel:error:${name}`,
    title: name,
    status: Number(status!.slice(0, 3)),
    detail
  })
  if (socket.writable)
    socket.write(
      `HTTP/1.1 ${status}\r\ncontent-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
    )
  socket.destroySoon()
}
