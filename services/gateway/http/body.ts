import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { decodeValue } from '../../../sandbox/index.ts'
import { MediaTypeError, RequestError } from '../errors.ts'
import { VALUE_TYPE } from '../schema.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

declare module 'fastify' {
  interface FastifyRequest {
    /** SHA-256 of the body, where the request has an idempotency key */
    digest: string | undefined
  }
}

/** The value of a JSON text (RFC 8259). Throws RequestError. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (err) {
    throw new RequestError(`the body is not JSON: ${(err as Error).message}`)
  }
}

/** Reads bodies by content type: JSON, or canonical values. */
export function readBodies(app: FastifyInstance): void {
  app.decorateRequest('digest', undefined)
  app.removeAllContentTypeParsers()
  const kinds: [type: string, parse: (bytes: Buffer) => unknown][] = [
    ['application/json', parseJson],
    [VALUE_TYPE, bytes => decodeValue(bytes)]
  ]
  for (const [type, parse] of kinds)
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (req: FastifyRequest, bytes: Buffer, done) => {
      try {
        if (req.headers['idempotency-key'] != null) req.digest = hash('sha256', bytes, 'hex')
        done(null, parse(bytes))
      } catch (err) {
        done(err as Error)
      }
    })
  app.addContentTypeParser('*', (req: FastifyRequest, _: unknown, done) =>
    done(
      new MediaTypeError(
        `content type ${String(req.headers['content-type']).slice(0, 100)} is not understood; send application/json or ${VALUE_TYPE}`
      )
    )
  )
}
