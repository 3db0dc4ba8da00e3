import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { encodeValue } from '../../../sandbox/index.ts'
import {
  type Bytes,
  bytes,
  type Caller,
  type Field,
  fieldsOf,
  inputFrom,
  type Operation,
  placeOf,
  toWire
} from '../../host/index.ts'
import type { App, Context } from '../app.ts'
import { problemOf } from '../problem.ts'
import { VALUE_TYPE } from '../schema.ts'
import { describeOperation } from './operation-docs.ts'

const BODY_BYTES = 64 * 1024
const EVENTS = 'text/event-stream'
const JSON_TYPE = 'application/json; charset=utf-8'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** what the OpenAPI document says, where it does not follow from zod schemas of the route */
    described?: Record<string, unknown>
  }
}

/** Every operation of every service as a route, and what a client must know to call them. */
export function operationRoutes(app: App, context: Context): void {
  const { services } = context
  const places = services.modules.flatMap(({ name, operations }) =>
    Object.entries(operations).map(([key, operation]) => placeOf(name, key, operation))
  )
  app.get('/operations', { config: { scope: 'account' }, schema: { hide: true } }, () => ({ items: places }))
  for (const { name, operations } of services.modules)
    for (const [key, operation] of Object.entries(operations)) {
      const add = (to: App): void => addRoute(to, context, name, key, operation)
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

function addRoute(app: App, context: Context, service: string, name: string, operation: Operation): void {
  const { services } = context
  const { http, scope } = operation
  const fields = fieldsOf(operation.input)
  app.route({
    method: http.method,
    url: http.path,
    config: {
      ...(scope == null ? {} : { scope }),
      deadlineMs: operation.deadlineMs,
      described: describeOperation(service, name, operation)
    },
    bodyLimit: http.bodyBytes ?? BODY_BYTES,
    async handler(req, reply) {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const call = {
        caller: callerOf(req),
        signal: gone.signal,
        ...(http.body === 'bytes' ? { body: (req.body ?? Readable.from([])) as Readable } : {})
      }
      const input = inputOf(req, operation, fields)
      if (operation.progress != null && req.headers.accept?.includes(EVENTS) === true) {
        reply.hijack()
        return tell(reply, context, send => services.call(service, name, input, { ...call, send }))
      }
      const output = await services.call(service, name, input, call)
      reply.code(http.status ?? 200)
      if (operation.output === bytes) return sendBytes(reply, output as Bytes)
      if (http.status === 204) return reply.send()
      if (req.headers.accept?.includes(VALUE_TYPE) === true)
        return reply.type(VALUE_TYPE).send(Buffer.from(encodeValue(output)))
      return reply.header('content-type', JSON_TYPE).send(toWire(output))
    }
  })
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
  if (http.body === 'bytes' || req.body == null) return input
  // a body that is no object is refused by the schema
  if (typeof req.body !== 'object' || Array.isArray(req.body)) return req.body
  return { ...req.body, ...input }
}

function sendBytes(reply: FastifyReply, { chunks, size, type, status, headers }: Bytes): FastifyReply {
  if (status != null) reply.code(status)
  if (size != null) reply.header('content-length', size)
  return reply
    .type(type ?? 'application/octet-stream')
    .headers(headers ?? {})
    .send(Readable.from(chunks, { objectMode: false }))
}

/** Server-sent events: `progress`, then `result` or `error`. */
async function tell(
  reply: FastifyReply,
  { verdict, explain }: Context,
  work: (send: (progress: unknown) => Promise<void>) => Promise<unknown>
): Promise<void> {
  const { raw } = reply
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': EVENTS,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no'
  })
  const put = (event: string, data: string): Promise<void> =>
    new Promise(resolve => {
      // who has gone reads nothing; the call ends by its signal
      if (raw.write(`event: ${event}\ndata: ${data}\n\n`) || raw.destroyed) return resolve()
      raw.once('drain', resolve)
      raw.once('close', resolve)
    })
  try {
    const output = await work(progress => put('progress', toWire(progress)))
    await put('result', toWire(output ?? null))
  } catch (error) {
    await put('error', JSON.stringify(problemOf(explain(error as Error), verdict)))
  }
  raw.end()
}
