import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type AtHome, allows, type Grant, isService, toWire } from '../../host/index.ts'
import { MAX_READERS } from '../entries.ts'
import { ForbiddenError, TooManyReadersError } from '../errors.ts'
import type { App, Context } from '../http/app.ts'
import { WS_VALUES } from '../schema.ts'
import type { Reader } from './events.ts'
import type { Sink } from './outbox.ts'

const PING_MS = 25_000
/** A reader that does not answer a ping within this time is gone or stuck. */
const DEAD_MS = 20_000
/** Clients have nothing to say here. */
export const MAX_MESSAGE_BYTES = 1024
/** Of the visitors of one home, which lets in whom it likes. */
export const MAX_OF_HOME = 25
const RETRY_S = 10
const HOME_AGAIN_MS = 5_000
/** Of a visitor who reads too slowly. */
const MAX_WAITING_BYTES = 1_000_000
const GOING_AWAY = 1001
const POLICY = 1008
const TRY_LATER = 1013

const live = z.object({ after: z.string().max(64).optional() })

/** What happens, over WebSockets: all that a reader may read, or of one service with cursors. */
export function eventRoutes(app: App, context: Context): void {
  const { events, entries, grants, visitors, homes, services, stopping, logger, face } = context
  const log = logger.forComponent('artel:gateway')
  const names = face == null ? services.modules.filter(isService).map(({ name }) => name) : [face.service]
  /** home → sockets */
  const ofHomes = new Map<string, number>()
  const isFull = ({ home }: Grant): boolean => home != null && (ofHomes.get(home.peer) ?? 0) >= MAX_OF_HOME
  function count({ home }: Grant, by: 1 | -1): void {
    if (home == null) return
    const next = (ofHomes.get(home.peer) ?? 0) + by
    if (next === 0) ofHomes.delete(home.peer)
    else ofHomes.set(home.peer, next)
  }

  const readerOf = (grant: Grant, socket: WebSocket): Reader => ({
    asValues: socket.protocol === WS_VALUES,
    mayReadNode: face == null && allows(grant, 'read'),
    mayRead: (service, to) =>
      names.includes(service) && allows(grant, `${service}:read`) && to?.(grant) !== false
  })
  addRoute('/api/v1/events', (sink, grant, socket) => events.add(sink, readerOf(grant, socket)))
  if (face != null)
    addRoute('/live', (sink, grant, _, { query }) =>
      face.backlog.add(sink, grant, (query as z.infer<typeof live>).after)
    )

  type Begin = (sink: Sink, grant: Grant, socket: WebSocket, req: FastifyRequest) => () => void
  function addRoute(url: string, begin: Begin): void {
    app.route({
      method: 'GET',
      url,
      config: { scope: 'account' },
      schema: { hide: true, querystring: live },
      websocket: true,
      // said before it becomes a socket
      onRequest: ({ grant }, reply, done) => {
        // a visitor hears what his home tells, and nothing of this node
        const mayHear =
          grant?.home != null ||
          (face == null && allows(grant!, 'read')) ||
          names.some(name => allows(grant!, `${name}:read`))
        if (!mayHear)
          return done(
            new ForbiddenError(`this needs the scope ${face == null ? '' : `${face.service}:`}read`)
          )
        const isOver = isFull(grant!)
        if (!isOver && app.websocketServer.clients.size < MAX_READERS) return done()
        reply.header('retry-after', String(RETRY_S))
        const who = isOver ? `${MAX_OF_HOME} of your home` : MAX_READERS
        done(new TooManyReadersError(`${who} follow what happens here; try again in ${RETRY_S} s`))
      },
      handler: (socket, req) => {
        // many may have come at once
        if (app.websocketServer.clients.size > MAX_READERS || isFull(req.grant!))
          return socket.close(TRY_LATER, 'too many readers')
        follow(socket, req, begin)
      }
    })
  }

  function follow(socket: WebSocket, req: FastifyRequest, begin: Begin): void {
    const grant = req.grant!
    const sink = {
      get waiting() {
        return socket.bufferedAmount
      },
      send: (text: string | Uint8Array, sent: () => void) => socket.send(text, error => error ?? sent()),
      drop: () => socket.terminate()
    }
    const at = {
      listener: face?.service ?? '',
      who: grant.account?.name ?? `token ${grant.id}`,
      address: req.ip
    }
    count(grant, 1)
    entries.socket('opened', at)
    const leave =
      grant.home == null ? begin(sink, grant, socket, req) : hearHome(socket, grant.id, grant.home)
    let dead: NodeJS.Timeout | undefined
    const pings = setInterval(() => {
      dead = setTimeout(() => socket.terminate(), DEAD_MS)
      socket.ping()
    }, PING_MS)
    const goAway = (): void => socket.close(GOING_AWAY, 'the node stops')
    stopping.addEventListener('abort', goAway)
    const ended = grants.ended(grant.id)
    const refuse = (): void => socket.close(POLICY, 'the token or session is over')
    ended.addEventListener('abort', refuse)
    socket.on('pong', () => clearTimeout(dead))
    socket.on('close', () => {
      clearInterval(pings)
      clearTimeout(dead)
      stopping.removeEventListener('abort', goAway)
      ended.removeEventListener('abort', refuse)
      count(grant, -1)
      entries.socket('closed', at)
      leave()
    })
  }

  /** Tells what the home of a visitor tells, until the answer is called. Where that ends, the page comes again and looks at all. */
  function hearHome(socket: WebSocket, visit: string, home: AtHome): () => void {
    const gone = new AbortController()
    const pass = async (): Promise<void> => {
      for await (const told of homes()?.watch(home, gone.signal) ?? []) {
        if (socket.bufferedAmount > MAX_WAITING_BYTES) break
        socket.send(toWire(told))
      }
    }
    pass()
      .catch((error: Error) => {
        if (error.name === 'UnauthorizedError') visitors.end(visit)
        log('the home %s tells nothing: %s', home.peer, error.message)
      })
      // not at once, or a home that is away would be asked without a rest
      .finally(() =>
        setTimeout(() => socket.close(GOING_AWAY, 'the home tells nothing'), HOME_AGAIN_MS).unref()
      )
    return () => gone.abort()
  }
}
