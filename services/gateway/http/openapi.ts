import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { wireSchema } from '../../host/index.ts'
import { problem, VALUE_TYPE } from '../schema.ts'
import type { App } from './app.ts'
import { deadlineOf } from './deadline.ts'

const DESCRIPTION = `Jobs, credits and the network of one Artel node.

Credits are decimal strings of micro-credits (1 credit = 1000000), times are ms since 1970. Errors are
\`application/problem+json\`. Exact values (bigint, typed arrays, bytes, NaN) travel as \`${VALUE_TYPE}\`.

\`GET /api/v1/events\` is a WebSocket with the subprotocols \`artel.v1\` and \`bearer.<token>\`; it sends JSON
\`{ type, ... }\`: \`job\`, \`progress\`, \`end\`, \`peers\`, \`balance\`, \`worker:add\`, \`worker:remove\`, \`stats\`, \`service\`, and
\`{ type: '<service>:<topic>', value }\` of the services that the token may read.`

// the page has no inline script; its styles are of the library
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** The OpenAPI document, from the schemas of the routes, and a page to read it and try it. Before the routes. */
export async function describeRoutes(app: App, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Artel', version, description: DESCRIPTION },
      components: {
        schemas: { Problem: wireSchema(problem) },
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: 'artel-session' }
        }
      }
    },
    transform: input => {
      const { described, scope } = input.route.config ?? {}
      const out =
        described == null ? jsonSchemaTransform(input) : { schema: described() as never, url: input.url }
      if (out.schema == null) return out
      const deadlineMs = deadlineOf(input.route)
      const { description } = out.schema as { description?: string }
      // operations say it themselves
      const told =
        described == null
          ? [
              description,
              scope == null ? undefined : `Scope: \`${scope}\`.`,
              `Answers within ${deadlineMs / 1000} s, or with OverdueError.`
            ]
          : [description]
      Object.assign(out.schema, {
        'x-deadline-ms': deadlineMs,
        description: told.filter(Boolean).join(' '),
        ...(scope == null ? {} : { security: [{ token: [] }, { session: [] }], 'x-scope': scope })
      })
      return out
    },
    transformObject: jsonSchemaTransformObject
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    uiConfig: { persistAuthorization: false, docExpansion: 'list', validatorUrl: null }
  })
}
