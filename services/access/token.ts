import { z } from 'zod'
import { group, operation } from '../host/index.ts'

const time = z.number().describe('ms since 1970')

export const SCOPES = ['read', 'submit', 'credits', 'admin'] as const
const scope = z.union([
  z.enum(SCOPES),
  z.templateLiteral([z.string().regex(/[a-z][a-z0-9-]{0,31}/), ':', z.enum(['read', 'write', 'admin'])])
])
export const tokenRow = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(scope),
  created: time,
  expires: time.optional()
})
export type Token = z.output<typeof tokenRow>
/** the only answer that holds the token itself */
const newToken = tokenRow.extend({ token: z.string() })
export type NewToken = z.output<typeof newToken>
const tokenBody = z.strictObject({
  name: z.string().min(1).max(100).describe('what it is for'),
  scopes: z
    .array(scope)
    .min(1)
    .max(100)
    .describe(`${SCOPES.join(', ')}, or of a service, as in files:read`),
  expires: z.number().int().positive().optional().describe('ms since 1970; default: never')
})
export type TokenBody = z.output<typeof tokenBody>

const admin = { scope: 'admin' } as const

export const token = group({
  name: 'token',
  summary: 'tokens of programs that use this node over HTTP',
  setting: 'gateway.enabled',
  operations: {
    list: operation({
      summary: "Tokens beside the admin's, without their secrets",
      input: z.object({}),
      output: z.object({ items: z.array(tokenRow) }),
      http: { method: 'GET', path: '/tokens' },
      ...admin
    }),
    add: operation({
      summary: 'Make a token; its secret is shown only now',
      input: tokenBody,
      output: newToken,
      http: { method: 'POST', path: '/tokens', status: 201 },
      command: {
        arguments: ['name'],
        examples: [
          'token add grafana --scopes read',
          'token add backup --scopes files:read --json | jq -r .token'
        ]
      },
      ...admin
    }),
    remove: operation({
      summary: 'End a token at once',
      input: z.object({ id: z.string().min(1).max(32) }),
      output: z.void(),
      http: { method: 'DELETE', path: '/tokens/:id', status: 204 },
      command: { arguments: ['id'], examples: ['token remove 5f0c3f1e9a7b2d44'] },
      ...admin
    })
  }
})
