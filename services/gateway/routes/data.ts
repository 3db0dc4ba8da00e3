import { Readable } from 'node:stream'
import { z } from 'zod'
import { type App, type Context, problems } from '../app.ts'
import { added } from '../schema.ts'

/** What the block store takes at most (scheduler): 25,000 blocks of 1 MiB. */
const DATA_BYTES = 25_000 * 2 ** 20
/** 24 GiB at 15 MB/s. Only who has a token gets as far as sending a body. */
export const UPLOAD_MS = 30 * 60_000
/** to find out that nobody has it */
const FIND_MS = 10_000
const tags = ['data']
const BINARY = 'application/octet-stream'

export function dataRoutes(app: App, { scheduler }: Context): void {
  // whatever it is, it is bytes, and never all of them in memory
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_, payload, done) => done(null, payload))

  app.route({
    method: 'POST',
    url: '/data',
    config: { scope: 'submit', deadlineMs: UPLOAD_MS },
    bodyLimit: DATA_BYTES,
    schema: {
      operationId: 'addData',
      summary: 'Put bytes into the block store, for `{ cid }` in place of data in a task',
      description:
        'The body is taken as it is, of any content type and length up to 24 GiB, and is streamed.',
      tags,
      consumes: [BINARY],
      response: { 201: added, ...problems }
    },
    handler: async (req, reply) => {
      const body = (req.body ?? Readable.from([])) as Readable
      return reply.code(201).send(await scheduler.addData(body))
    }
  })

  app.route({
    method: 'GET',
    url: '/data/:cid',
    config: { scope: 'read' },
    schema: {
      operationId: 'data',
      summary: 'Bytes of the block store, streamed',
      description: `What nobody is found to have within ${FIND_MS / 1000} s is missing: DataMissingError.`,
      tags,
      params: z.object({ cid: z.string().min(1).max(128) }),
      response: { 200: { content: { [BINARY]: { schema: z.unknown() } } }, ...problems }
    },
    handler: async ({ params: { cid }, deadline: signal }, reply) => {
      const { size, chunks } = await scheduler.data(cid, { signal, expires: Date.now() + FIND_MS })
      return (
        reply
          .type(BINARY)
          .header('content-length', size)
          .header('etag', `"${cid}"`)
          // bytes of strangers: never to be looked at as a page
          .header('content-disposition', 'attachment')
          .send(Readable.from(chunks, { objectMode: false }))
      )
    }
  })
}
