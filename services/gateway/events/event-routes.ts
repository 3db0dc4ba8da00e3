import type { WebSocket } from '@fastify/websocket'
import { type AtHome, allows, type Grant, toWire } from '../../host/index.ts'
import { ForbiddenError, TooManyReadersError } from '../errors.ts'
import type { App, Context } from '../http/app.ts'
import { WS_VALUES } from '../schema.ts'

/** A reader that does not answer within this time is gone or stuck. */
const HEARTBEAT_MS = 15_000
/** Clients have nothing to say here. */
export const MAX_MESSAGE_BYTES = 1024
export const MAX_READERS = 100
/** Of the visitors of one home, which lets in whom it likes. */
export const MAX_OF_HOME = 25
const RETRY_S = 10
const HOME_AGAIN_MS = 5_000
/** Of a visitor who reads too slowly. */
const MAX_WAITING_BYTES = 1_000_000
const GOING_AWAY = 1001
const POLICY = 1008
const TRY_LATER = 1013

export function eventRoutes(app: App, { events, grants, visitors, homes, stopping, logger }: Context): void {
  const log = logger.forComponent('artel:gateway')
  /** home → sockets */
  const ofHomes = new Map<string, number>()
  const isFull = ({ home }: Grant): boolean => home != null && (ofHomes.get(home.peer) ?? 0) >= MAX_OF_HOME
  function count({ home }: Grant, by: 1 | -1): void {
    if (home == null) return
    const next = (ofHomes.get(home.peer) ?? 0) + by
    if (next === 0) ofHomes.delete(home.peer)
    else ofHomes.set(home.peer, next)
  }
  app.route({
    method: 'GET',
    url: '/events',
    config: { scope: 'account' },
    websocket: true,
    // said before it becomes a socket
    onRequest: ({ grant }, reply, done) => {
      // a visitor hears what his home tells, and nothing of this node
      if (grant?.home == null && !allows(grant!, 'read'))
        return done(new ForbiddenError('this needs the scope read'))
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
      follow(socket, req.grant!)
    }
  })

  function follow(socket: WebSocket, grant: Grant): void {
    const sink = {
      get waiting() {
        return socket.bufferedAmount
      },
      send: (text: string | Uint8Array, sent: () => void) => socket.send(text, error => error ?? sent()),
      drop: () => socket.terminate()
    }
    const reader = {
      asValues: socket.protocol === WS_VALUES,
      mayRead: (service: string) => allows(grant, `${service}:read`)
    }
    count(grant, 1)
    const leave = grant.home == null ? events.add(sink, reader) : hearHome(socket, grant.id, grant.home)
    let isAlive = true
    const heartbeat = setInterval(() => {
      if (!isAlive) return socket.terminate()
      isAlive = false
      socket.ping()
    }, HEARTBEAT_MS)
    const goAway = (): void => socket.close(GOING_AWAY, 'the node stops')
    stopping.addEventListener('abort', goAway)
    const ended = grants.ended(grant.id)
    const refuse = (): void => socket.close(POLICY, 'the token or session is over')
    ended.addEventListener('abort', refuse)
    socket.on('pong', () => {
      isAlive = true
    })
    socket.on('close', () => {
      clearInterval(heartbeat)
      stopping.removeEventListener('abort', goAway)
      ended.removeEventListener('abort', refuse)
      count(grant, -1)
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
