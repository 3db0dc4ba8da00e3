import type { Libp2p } from '@libp2p/interface'
import type { Logger } from 'pino'

/** Long enough for a normal start, short enough that nobody wonders. */
const GRACE_MS = 3_000

/** Says when this node stands alone, and when it no longer does. Returns how to stop watching. */
export function watchPeers(
  libp2p: Pick<Libp2p, 'getPeers' | 'addEventListener' | 'removeEventListener'>,
  logger: Logger,
  seeds: number
): () => void {
  let isAlone = false
  let timer: NodeJS.Timeout | undefined
  const check = (): void => {
    clearTimeout(timer)
    if (libp2p.getPeers().length > 0) {
      if (isAlone) logger.info('peers found')
      isAlone = false
      return
    }
    if (isAlone) return
    timer = setTimeout(() => {
      isAlone = true
      logger.warn(
        seeds === 0
          ? 'no peers, and no seed to ask; waiting for somebody to connect (tell others this address, or give --seed ADDRESS)'
          : `no peers: none of ${seeds} seeds answers; trying again until one does`
      )
    }, GRACE_MS)
  }
  libp2p.addEventListener('peer:connect', check)
  libp2p.addEventListener('peer:disconnect', check)
  check()
  return () => {
    clearTimeout(timer)
    libp2p.removeEventListener('peer:connect', check)
    libp2p.removeEventListener('peer:disconnect', check)
  }
}
