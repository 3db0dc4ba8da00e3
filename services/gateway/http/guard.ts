import { isIP } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { allows, type Grant, type Scope } from '../../host/index.ts'
import { readCookies } from '../accounts/cookies.ts'
import { ForbiddenError, RequestError, TooManyRequestsError, UnauthorizedError } from '../errors.ts'
import { WS_PROTOCOL, WS_VALUES } from '../schema.ts'
import type { Grants } from './grants.ts'
import { createRate } from './rate.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * what a token or a session must allow, `account`: nothing but being known; without it the route is open to
     * everybody on a right Host
     */
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
const ALLOWED_METHODS = 'GET, POST, PUT, PATCH, DELETE'
// The browser keeps the answer to a preflight this long; Chromium takes no more.
const PREFLIGHT_S = 7200
const STRANGER_BODY_MS = 10_000
/** so that who sends in good faith still reads the answer */
const REFUSED_BODY_MS = 1_000

/**
 * Stands before every route. A page in a browser can reach loopback, also under a name of its own that it lets point
 * there (DNS rebinding): so the Host must be one of ours, and an Origin the same or a configured one.
 */
export function guard(app: FastifyInstance, init: GuardInit, grants: Grants): void {
  const isOurHost = hostCheck(init.host, init.serverNames)
  const rate = createRate(init.now)
  app.decorateRequest('grant', undefined)

  app.addHook('onRequest', (req, reply, done) => {
    try {
      checkHost(req)
      if (checkOrigin(req, reply)) return
      checkToken(req, reply)
      done()
      // of a stranger who may ask, as to sign in
      if (req.grant == null) endBody(req, STRANGER_BODY_MS)
    } catch (err) {
      // the answer is on its way, and nobody reads what else comes
      reply.header('connection', 'close')
      endBody(req, REFUSED_BODY_MS)
      done(err as Error)
    }
  })

  /** A body that is not there by then ends with its connection: one byte a second would keep it for hours. */
  function endBody({ raw }: FastifyRequest, ms: number): void {
    if (raw.complete) return
    const timer = setTimeout(() => raw.complete || raw.destroy(), ms)
    raw.once('end', () => clearTimeout(timer))
    raw.once('close', () => clearTimeout(timer))
  }

  function checkHost({ headers: { host }, raw }: FastifyRequest): void {
    // a proxy before us may have taken the other one (RFC 9112, 3.2)
    if ((raw.headersDistinct.host?.length ?? 0) > 1)
      throw new RequestError('a request has one Host header, this one has more')
    if (isOurHost(host)) return
    throw new ForbiddenError(
      `Host ${String(host).slice(0, 100)} is not a name of this node; use localhost, or allow it with the setting gateway.serverNames`
    )
  }

  /** true when the request was a preflight and is answered */
  function checkOrigin(req: FastifyRequest, reply: FastifyReply): boolean {
    const { origin, host } = req.headers
    if (origin == null || isOwn(origin, host)) return false
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
    const grant = text == null ? undefined : grants.find(text)
    req.grant = grant
    if (grant != null) endWith(grant, req, reply)
    const inTime = grant == null ? rate.stranger(req.ip) : rate.known(grant.id)
    if (!inTime) throw tooMany(reply)
    const { scope } = req.routeOptions.config
    if (scope == null) return
    if (grant == null) {
      if (!rate.refused(req.ip)) throw tooMany(reply)
      reply.header('www-authenticate', 'Bearer')
      throw new UnauthorizedError(
        text == null
          ? 'this needs a token: Authorization: Bearer TOKEN; the admin token lies in gateway-token in the data folder, and who has an account signs in'
          : 'the token or session is unknown or over; the admin token lies in gateway-token in the data folder, and who has an account signs in again'
      )
    }
    if (!allows(grant, scope))
      throw new ForbiddenError(
        `${grant.account?.name ?? 'the token'} may ${grant.scopes.join(', ') || 'do nothing here'}; this needs the scope ${scope}`
      )
  }

  /** Cuts what is still being answered when the grant ends. A WebSocket says goodbye itself. */
  function endWith({ id }: Grant, req: FastifyRequest, reply: FastifyReply): void {
    if (req.headers.upgrade != null) return
    const ended = grants.ended(id)
    // who has just ended his own session gets that answer
    const cut = (): void => void setImmediate(() => reply.raw.writableEnded || reply.raw.destroy())
    ended.addEventListener('abort', cut)
    reply.raw.once('close', () => ended.removeEventListener('abort', cut))
  }

  function tooMany(reply: FastifyReply): TooManyRequestsError {
    reply.header('retry-after', rate.retryAfter)
    return new TooManyRequestsError(`too many requests; try again in ${rate.retryAfter} s`)
  }
}

/** From the header, where a browser cannot set one from the subprotocols of the WebSocket, or from a cookie. */
function tokenOf(req: FastifyRequest): string | undefined {
  const { authorization, 'sec-websocket-protocol': protocols, upgrade, cookie, host } = req.headers
  if (authorization != null) return BEARER.exec(authorization)?.[1] ?? ''
  const names = upgrade == null ? [] : (protocols?.split(',', 4).map(name => name.trim()) ?? [])
  const bearer = names.find(name => name.startsWith(BEARER_PROTOCOL))
  if (bearer != null && [WS_PROTOCOL, WS_VALUES].some(name => names.includes(name)))
    return bearer.slice(BEARER_PROTOCOL.length)
  return isOfOwnPage(req) ? readCookies(cookie, host!).session : undefined
}

/**
 * Whether our own page sent this. A browser sends cookies by itself, also for pages of other ports of this host, which
 * SameSite lets through: they count only where the browser says that the page is ours (CSRF).
 */
export function isOfOwnPage({ method, headers }: FastifyRequest): boolean {
  const { origin, host, upgrade, 'sec-fetch-site': site } = headers
  if (origin != null) return isOwn(origin, host)
  // browsers name the origin of whatever changes something and of every WebSocket
  return method === 'GET' && upgrade == null && (site == null || site === 'same-origin' || site === 'none')
}

const isOwn = (origin: string, host: string | undefined): boolean =>
  origin === `http://${host}` || origin === `https://${host}`

/** Whether a Host header names this node. An address is no name that somebody could let point here. */
function hostCheck(host: string, serverNames: readonly string[]): (header: string | undefined) => boolean {
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
