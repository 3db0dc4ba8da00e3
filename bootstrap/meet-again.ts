import type { Identify } from '@libp2p/identify'
import type { ComponentLogger, Connection } from '@libp2p/interface'

/** Twice as long each time: some never tell. */
const AGAIN_MS = 2_000
const LAST_AGAIN_MS = 5 * 60_000

/**
 * Asks a connected peer who it is until it has told. libp2p asks once: where that takes too long, as in a process that a busy
 * machine gives no turn, no protocol hears of the peer while it is connected.
 */
export function meetAgain(identify: Identify, { logger }: { logger: ComponentLogger }): Identify {
  const log = logger.forComponent('artel:meet')
  const once = identify.identify.bind(identify)
  const waiting = new WeakSet<Connection>()
  const waits = new WeakMap<Connection, number>()
  const again = (connection: Connection): void => {
    if (waiting.has(connection)) return
    waiting.add(connection)
    const ms = waits.get(connection) ?? AGAIN_MS
    waits.set(connection, Math.min(2 * ms, LAST_AGAIN_MS))
    setTimeout(() => {
      waiting.delete(connection)
      // what fails is tried again
      if (connection.status === 'open') identify.identify(connection).catch(() => {})
    }, ms).unref()
  }
  identify.identify = async (connection, options) => {
    try {
      return await once(connection, options)
    } catch (error) {
      log('%p is asked again who it is: %s', connection.remotePeer, (error as Error).message)
      again(connection)
      throw error
    }
  }
  return identify
}
