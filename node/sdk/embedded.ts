import type { Place } from './http.ts'

export interface EmbeddedOptions {
  embedded: true
  /** its data folder; default: ARTEL_DATA, else ~/.artel */
  data?: string
  /** addresses of seeds; without them, and where the folder knows no network, it founds one of its own */
  seeds?: string[]
  /** further settings of the node (`artel config`) */
  settings?: Record<string, unknown>
  /** ends the start */
  signal?: AbortSignal
}

/** Starts a node in this process that serves its HTTP API on a free loopback port. It is a node like any other: it computes for this program, and while that runs for peers too. */
export async function startEmbedded({
  data,
  seeds,
  settings = {},
  signal
}: EmbeddedOptions): Promise<{ place: Place; stop: () => Promise<void> }> {
  // a program that talks to a node of the machine needs none of it
  const [{ loadConfig }, { createNode }, { createLogger }] = await Promise.all([
    import('../config.ts'),
    import('../create-node.ts'),
    import('../logger.ts')
  ])
  const config = loadConfig({
    flags: { data, seeds, 'gateway.enabled': true, 'gateway.host': '127.0.0.1', 'gateway.port': 0 },
    defaults: { logLevel: 'warn', ...settings }
  })
  const node = await createNode(config, { founds: true, logger: createLogger(config), signal })
  const { url, token } = node.gateway!
  return { place: { url: url!, token }, stop: () => node.stop() }
}
