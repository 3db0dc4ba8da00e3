/** Content-Security-Policy: directive → what it allows. */
export type Policy = Readonly<Record<string, string>>

/**
 * Scripts are our own files only. Styles may be inline: the components of the dashboard set theirs at run time, and
 * what strangers say is never markup.
 */
export const DASHBOARD_POLICY: Policy = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data: blob:",
  'font-src': "'self' data:",
  'connect-src': "'self'",
  'frame-src': "'self'",
  'worker-src': "'self' blob:",
  'manifest-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'"
}

/** Of the Worker that is a node: it dials other nodes, wherever they are. */
export const TAB_POLICY: Policy = {
  'default-src': "'none'",
  'script-src': "'self'",
  'connect-src': "'self' ws: wss:"
}

export const policyOf = (policy: Policy): string =>
  Object.entries(policy)
    .map(([directive, allowed]) => `${directive} ${allowed}`)
    .join('; ')
