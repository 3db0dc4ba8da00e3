import { isIP } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ForbiddenError, TooManyRequestsError, UnauthorizedError } from './errors.ts'
import { createRate } from './rate.ts'
import { type Scope, WS_PROTOCOL } from './schema.ts'
import { allows, type Grant, type Tokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** what a token must allow; without it the route is open to everybody on a right Host */
    scope?: Scope
  }
  interface FastifyRequest {
    grant: Grant | undefined
  }
}

export interface GuardInit {
  host: string
  serverNames: readonly string[]
  origins: readonly string[]
  now: () => number
}

const BEARER = /^Bearer +(\S{1,200})$/i
const BEARER_PROTOCOL = 'bearer.'
const ALLOWED_HEADERS = 'authorization, content-type, accept, idempotency-key'
const ALLOWED_METHODS = 'GET, POST, PATCH, DELETE'
// The browser keeps the answer to a preflight this long; Chromium takes no more.
const PREFLIGHT_S = 7200

/**
 * Stands before every route. A page in a browser can reach loopback, also under a name of its own that it lets point
 * there (DNS rebinding): so the Host must be one of ours, and an Origin the same or a configured one.
 */
export function guard(app: FastifyInstance, init: GuardInit, tokens: Tokens): void {
  const isOurHost = hostCheck(init.host, init.serverNames)
  const rate = createRate(init.now)
  app.decorateRequest('grant', undefined)

  app.addHook('onRequest', (req, reply, done) => {
    try {
      checkHost(req)
      if (checkOrigin(req, reply)) return
      checkToken(req, reply)
      done()
    } catch (err) {
      done(err as Error)
    }
  })

  function checkHost({ headers: { host } }: FastifyRequest): void {
    if (isOurHost(host)) return
    throw new ForbiddenError(
      `Host ${String(host).slice(0, 100)} is not a name of this node; use localhost, or allow it with the setting gateway.serverNames`
    )
  }

  /** true when the request was a preflight and is answered */
  function checkOrigin(req: FastifyRequest, reply: FastifyReply): boolean {
    const { origin, host } = req.headers
    if (origin == null || origin === `http://${host}` || origin === `https://${host}`) return false
    if (!init.origins.includes(origin))
      throw new ForbiddenError(
        `origin ${origin.slice(0, 100)} may not call this node; allow it with the setting gateway.origins`
      )
    reply.header('access-control-allow-origin', origin).header('vary', 'origin')
    reply.header('access-control-expose-headers', 'location, retry-after')
    if (req.method !== 'OPTIONS') return false
    reply
      .code(204)
      .header('access-control-allow-methods', ALLOWED_METHODS)
      .header('access-control-allow-headers', ALLOWED_HEADERS)
      .header('access-control-allow-private-network', 'true')
      .header('access-control-max-age', PREFLIGHT_S)
      .send()
    return true
  }

  function checkToken(req: FastifyRequest, reply: FastifyReply): void {
    const text = tokenOf(req)
    const grant = text == null ? undefined : tokens.find(text)
    req.grant = grant
    const inTime = grant == null ? rate.stranger(req.ip) : rate.known(grant.id)
    if (!inTime) throw tooMany(reply)
    const { scope } = req.routeOptions.config
    if (scope == null) return
    if (grant == null) {
      if (!rate.refused(req.ip)) throw tooMany(reply)
      reply.header('www-authenticate', 'Bearer')
      throw new UnauthorizedError(
        text == null
          ? 'this needs a token: Authorization: Bearer TOKEN; the admin token lies in gateway-token in the data folder'
          : 'the token is unknown or over; the admin token lies in gateway-token in the data folder'
      )
    }
    if (!allows(grant, scope))
      throw new ForbiddenError(`the token allows ${grant.scopes.join(', ')}; this needs the scope ${scope}`)
  }

  function tooMany(reply: FastifyReply): TooManyRequestsError {
    reply.header('retry-after', rate.retryAfter)
    return new TooManyRequestsError(`too many requests; try again in ${rate.retryAfter} s`)
  }
}

/** From the header, or, where a browser cannot set one, from the subprotocols of the WebSocket. */
function tokenOf({ headers }: FastifyRequest): string | undefined {
  const { authorization, 'sec-websocket-protocol': protocols } = headers
  if (authorization != null) return BEARER.exec(authorization)?.[1] ?? ''
  if (protocols == null || headers.upgrade == null) return undefined
  const names = protocols.split(',', 4).map(name => name.trim())
  if (!names.includes(WS_PROTOCOL)) return undefined
  return names.find(name => name.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length)
}

/** Whether a Host header names this node. An address is no name that somebody could let point here. */
export function hostCheck(
  host: string,
  serverNames: readonly string[]
): (header: string | undefined) => boolean {
  const names = new Set(
    ['localhost', '127.0.0.1', '[::1]', host, `[${host}]`, ...serverNames].map(name => name.toLowerCase())
  )
  const isOpen = host === '0.0.0.0' || host === '::'
  return header => {
    if (header == null) return false
    const name = header.replace(/:\d{1,5}$/, '').toLowerCase()
    return names.has(name) || (isOpen && isIP(name.replace(/^\[|\]$/g, '')) > 0)
  }
}
