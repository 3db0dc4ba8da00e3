import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import type { Escrow, GatewayComponents, Meeting } from '../contract.ts'
import type { App } from './app.ts'
import { DASHBOARD_POLICY, policyOf } from './policy.ts'

/** Of the build; they have policies of their own. */
export const VOLUNTEER_FILES: readonly string[] = ['volunteer.html', 'walls.html']

export const MEETING_PATH = '/volunteer/network'
/** `ACCOUNT/JOB`, of which there may be so many in one request */
const ESCROW = z.string().regex(/^\w{1,64}\/[\w-]{1,64}$/)
const MAX_ESCROWS = 64

/** What the page is told of network and ledger. */
export interface VolunteerSource {
  meeting(): Promise<Meeting>
  ledger: Pick<GatewayComponents['ledger'], 'escrowOf'>
}

/** As DASHBOARD_POLICY; it has the frame with the walls, and the dashboard has it in a frame. */
const PAGE_POLICY = policyOf({ ...DASHBOARD_POLICY, 'frame-ancestors': "'self'" })

/** Nothing but Workers that are made from the scripts that it is given: no connection, no code from strings. */
const wallsPolicy = (script: string): string =>
  policyOf({
    'default-src': "'none'",
    'script-src': `'sha256-${createHash('sha256').update(script).digest('base64')}' blob:`,
    'worker-src': 'blob:',
    'connect-src': "'none'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'self'",
    sandbox: 'allow-scripts'
  })

/**
 * The page on which a browser is lent, for everybody, without a token; and what it must know of the network. Its scripts
 * are among the dashboard's files.
 */
export async function serveVolunteers(
  app: App,
  folder: string,
  { meeting, ledger }: VolunteerSource
): Promise<void> {
  const [page, walls] = await Promise.all(VOLUNTEER_FILES.map(name => readFile(join(folder, name), 'utf8')))
  const script = /<script>([\s\S]*)<\/script>/.exec(walls!)![1]!
  const send = (reply: FastifyReply, html: string, policy: string): FastifyReply =>
    reply
      .headers({
        'content-security-policy': policy,
        'x-frame-options': 'SAMEORIGIN',
        'cache-control': 'no-cache'
      })
      .type('text/html; charset=utf-8')
      .send(html)
  app.get('/volunteer', { schema: { hide: true } }, (_, reply) => send(reply, page!, PAGE_POLICY))
  app.get('/walls.html', { schema: { hide: true } }, (_, reply) => send(reply, walls!, wallsPolicy(script)))
  app.get(MEETING_PATH, { schema: { hide: true } }, async (_, reply) =>
    reply.header('cache-control', 'no-store').send(await meeting())
  )
  const of = z.union([ESCROW.transform(one => [one]), z.array(ESCROW).max(MAX_ESCROWS)])
  app.get(
    '/volunteer/escrows',
    { schema: { hide: true, querystring: z.object({ of }) } },
    async ({ query }, reply) =>
      reply.header('cache-control', 'no-store').send(
        query.of.map((each): Escrow | null => {
          const [account, job] = each.split('/') as [string, string]
          const escrow = ledger.escrowOf(account, job)
          return escrow == null ? null : { bound: `${escrow.bound}`, isOpen: escrow.isOpen }
        })
      )
  )
}
