import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import {
  type Bytes,
  bytes,
  type Caller,
  type Encoded,
  encoded,
  type Field,
  fieldsOf,
  type Group,
  type HttpPlace,
  inputFrom,
  type Operation,
  placeOf,
  ServiceDownError,
  toWire
} from '../../host/index.ts'
import { type App, type Context, shows } from '../http/app.ts'
import { problemOf } from '../http/problem.ts'
import { VALUE_TYPE } from '../schema.ts'
import { describeOperation } from './operation-docs.ts'

const BODY_BYTES = 64 * 1024
const EVENTS = 'text/event-stream'
const JSON_TYPE = 'application/json; charset=utf-8'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** what the OpenAPI document says, where it does not follow from zod schemas of the route */
    described?: () => Record<string, unknown>
    /** what an error is as JSON, where it is no problem of RFC 9457 */
    errorBody?: HttpPlace['errorBody']
  }
}

/** Every operation as a route, and what a client must know to call them. */
export function operationRoutes(app: App, context: Context): void {
  const places = context.services.groups.flatMap(group =>
    Object.entries(group.operations)
      .filter(([, operation]) => shows(context, group, operation))
      .map(([key, operation]) => placeOf(group.name, key, operation))
  )
  app.get('/operations', { config: { scope: 'account' }, schema: { hide: true } }, () => ({ items: places }))
  addRoutes(app, context, operation => operation.http.isAtRoot !== true)
}

/** Those that are not below /api/v1. */
export function rootRoutes(app: App, context: Context): void {
  addRoutes(app, context, operation => operation.http.isAtRoot === true)
}

function addRoutes(app: App, context: Context, isMeant: (operation: Operation) => boolean): void {
  for (const group of context.services.groups)
    for (const [key, operation] of Object.entries(group.operations)) {
      if (!isMeant(operation) || !shows(context, group, operation)) continue
      const add = (to: App): void => addRoute(to, context, group, key, operation)
      if (operation.http.body !== 'bytes') add(app)
      // a stream has a parser of its own
      else
        void app.register(async inner => {
          inner.removeAllContentTypeParsers()
          inner.addContentTypeParser('*', (_, payload, done) => done(null, payload))
          add(inner as App)
        })
    }
}

function addRoute(app: App, context: Context, group: Group, name: string, operation: Operation): void {
  const { services } = context
  const service = group.name
  const { http, scope } = operation
  // what is asked for by nobody costs no memory
  let fields: readonly Field[] | undefined
  app.route({
    method: http.method,
    url: http.path,
    // whoever watches a server may ask for no more than its head
    exposeHeadRoute: http.method === 'GET' && http.isAtRoot === true,
    config: {
      ...(scope == null ? {} : { scope }),
      deadlineMs: operation.deadlineMs,
      ...(http.errorBody == null ? {} : { errorBody: http.errorBody }),
      described: () => describeOperation(group, name, operation)
    },
    bodyLimit: http.bodyBytes ?? BODY_BYTES,
    async handler(req, reply) {
      const call = {
        caller: callerOf(req),
        signal: whileAsked(reply, context.stopping),
        ...(req.digest == null ? {} : { digest: req.digest }),
        ...(http.body === 'bytes' ? { body: (req.body ?? Readable.from([])) as Readable } : {})
      }
      fields ??= fieldsOf(operation.input)
      const input = inputOf(req, operation, fields)
      const { accept = '' } = req.headers
      const asValue = accept.includes(VALUE_TYPE)
      if (operation.progress != null && accept.includes(EVENTS)) {
        reply.hijack()
        return tell(reply, context, asValue, send => services.call(service, name, input, { ...call, send }))
      }
      const output = await services.call(service, name, input, call)
      const { status = http.status ?? 200, headers = {} } = http.answer?.(output as never) ?? {}
      reply.code(status).headers(headers)
      if (operation.output === bytes) return sendBytes(reply, output as Bytes)
      if (http.status === 204) return reply.send()
      if (http.textType != null) return reply.type(http.textType).send(output)
      const isEncoded = operation.output === encoded
      const { canonical } = output as Encoded
      if (asValue)
        return reply.type(VALUE_TYPE).send(Buffer.from(isEncoded ? canonical : encodeValue(output)))
      return reply.header('content-type', JSON_TYPE).send(toWire(isEncoded ? decodeValue(canonical) : output))
    }
  })
}

/** Until the client goes, or the gateway stops: then who waits asks again later. */
function whileAsked(reply: FastifyReply, stopping: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const stop = (): void => controller.abort(new ServiceDownError('the node stops', 1))
  stopping.addEventListener('abort', stop)
  reply.raw.once('close', () => {
    stopping.removeEventListener('abort', stop)
    // one that was answered ends nothing, and an error with a stack is dear
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}

function callerOf({ grant }: FastifyRequest): Caller {
  return grant == null ? { is: 'stranger' } : { is: 'grant', grant }
}

function inputOf(req: FastifyRequest, { http }: Operation, fields: readonly Field[]): unknown {
  const headers = Object.fromEntries(
    Object.entries(http.headers ?? {}).map(([field, header]) => [field, req.headers[header]])
  )
  const sources = [req.params, req.query, headers] as Record<string, unknown>[]
  const input = inputFrom(fields, sources)
  if (http.bodyField != null) return { ...input, [http.bodyField]: req.body }
  if (http.body === 'bytes' || req.body == null) return input
  // a body that is no object is refused by the schema
  if (typeof req.body !== 'object' || Array.isArray(req.body)) return req.body
  return { ...req.body, ...input }
}

function sendBytes(reply: FastifyReply, { chunks, whole, size, type, status, headers }: Bytes): FastifyReply {
  if (status != null) reply.code(status)
  if (size != null) reply.header('content-length', size)
  return reply
    .type(type ?? 'application/octet-stream')
    .headers(headers ?? {})
    .send(whole ?? Readable.from(chunks, { objectMode: false }))
}

/** Server-sent events: `progress`, then `result` or `error`. `asValue`: canonical values in base64 in place of JSON. */
async function tell(
  reply: FastifyReply,
  { verdict, explain }: Context,
  asValue: boolean,
  work: (send: (progress: unknown) => Promise<void>) => Promise<unknown>
): Promise<void> {
  const { raw } = reply
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': EVENTS,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no'
  })
  // it may be long until there is something to tell
  raw.flushHeaders()
  const text = (value: unknown): string =>
    asValue ? Buffer.from(encodeValue(value)).toString('base64') : toWire(value)
  const put = (event: string, data: string): Promise<void> =>
    new Promise(resolve => {
      // who has gone reads nothing; the call ends by its signal
      if (raw.write(`event: ${event}\ndata: ${data}\n\n`) || raw.destroyed) return resolve()
      raw.once('drain', resolve)
      raw.once('close', resolve)
    })
  try {
    const output = await work(progress => put('progress', text(progress)))
    await put('result', text(output))
  } catch (error) {
    await put('error', JSON.stringify(problemOf(explain(error as Error), verdict)))
  }
  raw.end()
}
