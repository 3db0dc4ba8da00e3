import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { Meeting } from '../contract.ts'
import type { App } from './app.ts'
import { DASHBOARD_POLICY, policyOf, TAB_POLICY } from './policy.ts'
import { serveVolunteers } from './volunteer.ts'

const PAGE = policyOf(DASHBOARD_POLICY)
const TAB = policyOf(TAB_POLICY)

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Artel</title>
<p>The dashboard is not built here: run <code>npm run build:ui</code> and start the node again. The API is at <a href="/docs">/docs</a>.</p>`

/**
 * The built dashboard: compressed beforehand where the build did so, cached for ever where the name has a hash.
 * `meeting`: the page for volunteers' browsers is served as well.
 */
export async function serveDashboard(
  app: App,
  folder: string | undefined,
  meeting?: () => Promise<Meeting>
): Promise<void> {
  if (folder == null || !existsSync(join(folder, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, (_, reply) =>
      reply.header('content-security-policy', "default-src 'none'").type('text/html').send(NOT_BUILT)
    )
    return
  }
  await app.register(fastifyStatic, {
    root: folder,
    preCompressed: true,
    schemaHide: true,
    // files are known at start; what is not there is none of ours
    wildcard: false,
    globIgnore: ['**/*.map', 'volunteer.html*', 'walls.html*'],
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isHashed = path.includes('/assets/')
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
      reply.header('content-security-policy', /\/assets\/tab-[^/]*$/.test(path) ? TAB : PAGE)
    }
  })
  if (meeting != null) await serveVolunteers(app, folder, meeting)
}
