import type { IsSigned } from '../context.ts'
import { type ChainLog, openChainLog } from '../log/chain-log.ts'
import type { Disk } from '../log/disk.ts'
import type { ChainId } from '../log/entry.ts'
import { keyOf } from '../log/keys.ts'

/** An agent begins a chain anew when its disk was set back: seldom. */
export const MAX_AGENT_CHAINS = 64

export interface ChainsInit {
  self: string
  isSigned: IsSigned
  disk(chain: ChainId): Disk
  /** all that have files, at the start */
  there: readonly ChainId[]
  /** default: 1 MiB */
  segmentBytes?: number
  /** something was found wrong */
  onFound(chain: ChainId, what: string): void
}

const nameOf = ({ agent, number }: ChainId): string => `${agent}/${number}`

/** All chains on this disk: the own ones, and those kept for others. */
export async function openChains({ self, isSigned, disk, there, segmentBytes, onFound }: ChainsInit) {
  const open = new Map<string, Promise<ChainLog>>()
  const logs = new Map<string, ChainLog>()

  function get(chain: ChainId): Promise<ChainLog> {
    // it becomes the name of a folder
    keyOf(chain.agent)
    const name = nameOf(chain)
    const known = open.get(name)
    if (known != null) return known
    const opening = openChainLog({
      disk: disk(chain),
      chain,
      isSigned,
      segmentBytes,
      onFound: what => onFound(chain, what)
    }).then(log => {
      logs.set(name, log)
      return log
    })
    open.set(name, opening)
    opening.catch(() => open.delete(name))
    return opening
  }

  for (const chain of there) await get(chain)

  return {
    kept: get,
    /** where there is one already */
    find: (chain: ChainId): ChainLog | undefined => logs.get(nameOf(chain)),
    all: (): ChainLog[] => [...logs.values()],
    of: (agent: string): ChainLog[] =>
      [...logs.values()]
        .filter(({ chain }) => chain.agent === agent)
        .sort((a, b) => a.chain.number - b.chain.number),
    own: (): ChainLog | undefined =>
      [...logs.values()]
        .filter(({ chain }) => chain.agent === self)
        .sort((a, b) => b.chain.number - a.chain.number)[0],
    bytes: (): number => [...logs.values()].reduce((sum, log) => sum + log.bytes, 0),
    async close(): Promise<void> {
      await Promise.all([...logs.values()].map(log => log.close()))
    }
  }
}

export type Chains = Awaited<ReturnType<typeof openChains>>
