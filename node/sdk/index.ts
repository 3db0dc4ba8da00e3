import { createClient } from './client.ts'
import type { Artel } from './contract.ts'
import { type EmbeddedOptions, startEmbedded } from './embedded.ts'
import { findNode, folderOf } from './find-node.ts'
import type { Place } from './http.ts'

/** Counts, ranks and items of the spaces of `enumerate`, calculated here. */
export * as spaces from '../../scheduler/spaces/index.ts'
export type * from './contract.ts'
export type { EmbeddedOptions } from './embedded.ts'
export { ArtelError } from './errors.ts'

export type ConnectOptions = {
  /** ms that the node may be away before what waits for it fails; default 60,000 */
  patienceMs?: number
} & (
  | { url: string; token?: string }
  | { url?: undefined; embedded?: false; data?: string }
  | ({ url?: undefined } & EmbeddedOptions)
)

/**
 * Artel from a program: the running node of this machine, found through its data folder (`data`, else ARTEL_DATA, else ~/.artel);
 * with `url` and `token` any node; with `embedded: true` a node of its own in this process, which `close()` ends.
 *
 * @throws {ArtelError} ControlError: no node is running
 */
export async function connect(options: ConnectOptions = {}): Promise<Artel> {
  const { patienceMs } = options
  if (options.url != null) {
    const place: Place = { url: options.url, token: options.token }
    return createClient({ locate: async () => place, patienceMs })
  }
  if (options.embedded === true) {
    const { place, stop } = await startEmbedded(options)
    return createClient({ locate: async () => place, patienceMs, onClose: stop })
  }
  const folder = folderOf(options.data)
  await findNode(folder)
  return createClient({ locate: () => findNode(folder), patienceMs })
}
