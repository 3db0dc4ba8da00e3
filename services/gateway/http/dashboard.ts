import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FaceInit } from '../contract.ts'
import type { App } from './app.ts'
import { DASHBOARD_POLICY, policyOf, TAB_POLICY } from './policy.ts'
import { MEETING_PATH, serveVolunteers, VOLUNTEER_FILES, type VolunteerSource } from './volunteer.ts'

const INDEX = 'index.html'
const PAGE = policyOf(DASHBOARD_POLICY)
const TAB = policyOf(TAB_POLICY)

const notBuilt = (title: string): string => `<!doctype html><meta charset="utf-8"><title>${title}</title>
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
  if (has(INDEX)) await serveFiles(app, folder!)
  else serveNotBuilt(app, '/', 'Artel')
  // to those who ask whether it is on
  if (volunteers == null)
    app.get(MEETING_PATH, { schema: { hide: true } }, (_, reply) => reply.code(204).send())
  // a build of before has the dashboard alone
  else if (VOLUNTEER_FILES.every(has)) await serveVolunteers(app, folder!, volunteers)
  else serveNotBuilt(app, '/volunteer', 'Artel')
}

/** One page of it at /, and what that consists of. */
export async function servePage(
  app: App,
  folder: string | undefined,
  { page, title }: Pick<FaceInit, 'page' | 'title'>
): Promise<void> {
  if (folder != null && existsSync(join(folder, page))) await serveFiles(app, folder, page)
  else serveNotBuilt(app, '/', title)
}

function serveNotBuilt(app: App, path: string, title: string): void {
  app.get(path, { schema: { hide: true } }, (_, reply) =>
    reply.header('content-security-policy', "default-src 'none'").type('text/html').send(notBuilt(title))
  )
}

async function serveFiles(app: App, folder: string, page = INDEX): Promise<void> {
  await app.register(fastifyStatic, {
    root: folder,
    preCompressed: true,
    schemaHide: true,
    // files are known at start; what is not there is none of ours
    wildcard: false,
    index: [page],
    globIgnore: [
      '**/*.map',
      ...[...VOLUNTEER_FILES, ...(page === INDEX ? [] : [INDEX])].map(name => `${name}*`)
    ],
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isHashed = path.includes('/assets/')
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
      reply.header('content-security-policy', /\/assets\/tab-[^/]*$/.test(path) ? TAB : PAGE)
    }
  })
}
