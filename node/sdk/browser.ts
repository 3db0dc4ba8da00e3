import { createClient } from './client.ts'
import type { Artel } from './contract.ts'

/** Counts, ranks and items of the spaces of `enumerate`, calculated here. */
export * as spaces from '../../scheduler/spaces/index.ts'
export type * from './contract.ts'
export { ArtelError } from './errors.ts'

export interface ConnectOptions {
  /** of the node's HTTP API; default: where the page came from */
  url?: string
  token?: string
  /** ms that the node may be away before what waits for it fails; default 60,000 */
  patienceMs?: number
}

/** Artel from a page. The node must allow the page's origin (setting gateway.origins), unless it served the page itself. */
export async function connect({
  url = location.origin,
  token,
  patienceMs
}: ConnectOptions = {}): Promise<Artel> {
  return createClient({ locate: async () => ({ url, token }), patienceMs })
}
