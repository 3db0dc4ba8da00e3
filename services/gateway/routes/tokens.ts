import { z } from 'zod'
import { type App, type Context, problems } from '../app.ts'
import { NotFoundError } from '../errors.ts'
import { newToken, tokenBody, tokens as tokensSchema } from '../schema.ts'

const tags = ['tokens']
const config = { scope: 'admin' } as const

export function tokenRoutes(app: App, { tokens }: Context): void {
  app.route({
    method: 'GET',
    url: '/tokens',
    config,
    schema: {
      operationId: 'tokens',
      summary: "Tokens beside the admin's, without their secrets",
      tags,
      response: { 200: tokensSchema, ...problems }
    },
    handler: async () => ({ items: tokens.list() })
  })

  app.route({
    method: 'POST',
    url: '/tokens',
    config,
    schema: {
      operationId: 'addToken',
      summary: 'Make a token; its secret is shown only now',
      tags,
      body: tokenBody,
      response: { 201: newToken, ...problems }
    },
    handler: async ({ body }, reply) => reply.code(201).send(await tokens.add(body))
  })

  app.route({
    method: 'DELETE',
    url: '/tokens/:id',
    config,
    schema: {
      operationId: 'removeToken',
      summary: 'End a token at once',
      tags,
      params: z.object({ id: z.string().min(1).max(32) }),
      response: { 204: z.void().describe('gone'), ...problems }
    },
    handler: async ({ params: { id } }, reply) => {
      if (!(await tokens.remove(id))) throw new NotFoundError(`there is no token ${id}`)
      return reply.code(204).send()
    }
  })
}
