import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { App } from './app.ts'
import { DASHBOARD_POLICY, policyOf, TAB_POLICY } from './policy.ts'
import { MEETING_PATH, serveVolunteers, VOLUNTEER_FILES, type VolunteerSource } from './volunteer.ts'

const PAGE = policyOf(DASHBOARD_POLICY)
const TAB = policyOf(TAB_POLICY)

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Artel</title>
<p>This page is not built here: run <code>npm run build:ui</code> and start the node again. The API is at <a href="/docs">/docs</a>.</p>`

/**
 * The built dashboard: compressed beforehand where the build did so, cached for ever where the name has a hash.
 * `volunteers`: the page for volunteers' browsers is served as well. A page that is not built says so.
 */
export async function serveDashboard(
  app: App,
  folder: string | undefined,
  volunteers?: VolunteerSource
): Promise<void> {
  const has = (name: string): boolean => folder != null && existsSync(join(folder, name))
  const serveNotBuilt = (path: string): void =>
    void app.get(path, { schema: { hide: true } }, (_, reply) =>
      reply.header('content-security-policy', "default-src 'none'").type('text/html').send(NOT_BUILT)
    )
  if (has('index.html')) await serveFiles(app, folder!)
  else serveNotBuilt('/')
  // to those who ask whether it is on
  if (volunteers == null)
    app.get(MEETING_PATH, { schema: { hide: true } }, (_, reply) => reply.code(204).send())
  // a build of before has the dashboard alone
  else if (VOLUNTEER_FILES.every(has)) await serveVolunteers(app, folder!, volunteers)
  else serveNotBuilt('/volunteer')
}

async function serveFiles(app: App, folder: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: folder,
    preCompressed: true,
    schemaHide: true,
    // files are known at start; what is not there is none of ours
    wildcard: false,
    globIgnore: ['**/*.map', ...VOLUNTEER_FILES.map(name => `${name}*`)],
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isHashed = path.includes('/assets/')
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
      reply.header('content-security-policy', /\/assets\/tab-[^/]*$/.test(path) ? TAB : PAGE)
    }
  })
}
