import type { Logger } from '@libp2p/interface'
import { type Call, type Input, type Output, OverdueError, UnreachableError } from '../../host/index.ts'
import type { declaration } from '../declaration.ts'
import type { Database } from '../store/database.ts'
import { keepSeen, seenAt, seenHosts } from '../store/seen.ts'

type List = (typeof declaration)['operations']['list']
type Row = Output<List>['machines'][number]
type Waits = Pick<Call, 'signal'>

const SILENT_MS = 2_000

/**
 * Lists over hosts. What another one showed last is kept, and is shown as out of reach where it says nothing for 2 s.
 * @param ask as a signed command of this node
 */
export function createLists(
  self: string,
  { database, log }: { database: Database; log: Logger },
  ask: (input: Input<List>, waits: Waits & { deadlineMs?: number }) => Promise<Output<List>>
) {
  const unreachable = async (host: string) =>
    (await seenAt<Row>(database, host)).map(row => ({ ...row, state: 'unreachable' }))

  /** @throws UnreachableError, OverdueError where the host says nothing and nothing of it is known */
  async function at(host: string, { signal }: Waits): Promise<Row[]> {
    const input = { host, everywhere: false }
    if (host === self) return (await ask(input, { signal })).machines
    try {
      const { machines } = await ask(input, { signal, deadlineMs: SILENT_MS })
      await keepSeen(database, host, machines)
      return machines
    } catch (error) {
      if (!(error instanceof UnreachableError || error instanceof OverdueError)) throw error
      const known = await unreachable(host)
      if (known.length === 0) throw error
      return known
    }
  }

  return {
    at,
    /** Of this node and of every host that has shown machines before. */
    async everywhere(waits: Waits): Promise<Row[]> {
      const hosts = [self, ...(await seenHosts(database))]
      const lists = await Promise.all(
        hosts.map(async host => {
          const rows = await at(host, waits).catch((error: Error) => {
            if (host === self) throw error
            // one that refuses hides nothing of the others
            log('list of %s: %s', host, error.message)
            return unreachable(host)
          })
          return rows.map(row => ({ ...row, host }))
        })
      )
      return lists.flat()
    }
  }
}
