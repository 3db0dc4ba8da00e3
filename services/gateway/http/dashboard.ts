import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { App } from './app.ts'

/**
 * Scripts are our own files only. Styles may be inline: the components of the dashboard set theirs at run time, and
 * what strangers say is never markup.
 */
const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Artel</title>
<p>The dashboard is not built here: run <code>npm run build:ui</code> and start the node again. The API is at <a href="/docs">/docs</a>.</p>`

/** The built dashboard: compressed beforehand where the build did so, cached for ever where the name has a hash. */
export async function serveDashboard(app: App, folder: string | undefined): Promise<void> {
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
    globIgnore: ['**/*.map'],
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isHashed = path.includes('/assets/')
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
      reply.header('content-security-policy', CSP)
    }
  })
}
