import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import type { CommandAnswer } from './commands.ts'
import { parseCondition } from './condition.ts'
import type { Peers } from './context.ts'
import { TvRequestError } from './errors.ts'
import type { tvState } from './messages.ts'

const ASK_MS = 10_000
const FIND_MS = 2_000
/** a command that waits on the way longer than this is not done */
const GOOD_FOR_MS = 60_000

export type TvState = z.output<typeof tvState>
export interface Found extends TvState {
  agent: string
}

export interface OperatorInit {
  peers: Peers
  agents(): readonly string[]
  /** those of this node */
  own(): TvState[]
  now(): number
}

/** The other end: finds TVs wherever they are, and asks the node beside each. */
export function createOperator({ peers, agents, own, now }: OperatorInit) {
  async function agentsKnown(signal: AbortSignal): Promise<Set<string>> {
    const known = new Set(agents())
    const until = AbortSignal.any([signal, AbortSignal.timeout(FIND_MS)])
    try {
      for await (const peer of peers.find({ signal: until, deadlineMs: FIND_MS })) known.add(peer)
    } catch (error) {
      // those that are configured do without being found
      if (signal.aborted) throw error
    }
    known.delete(peers.self)
    return known
  }

  return {
    /** The TVs that a selector names now. @throws {TvRequestError} no selector */
    async find(on: string, signal: AbortSignal): Promise<{ items: Found[]; silent: string[] }> {
      const isMeant = parseCondition(on)
      const silent: string[] = []
      const asked = [...(await agentsKnown(signal))].map(async agent => {
        try {
          const { tvs } = await peers.ask(agent, 'tvs', {}, { signal, deadlineMs: ASK_MS })
          return tvs.map(each => ({ ...each, agent }))
        } catch {
          // it is told by name
          signal.throwIfAborted()
          silent.push(agent)
          return []
        }
      })
      const all = [
        ...own().map(each => ({ ...each, agent: peers.self })),
        ...(await Promise.all(asked)).flat()
      ]
      return { items: all.filter(({ tags, name, agent }) => isMeant({ ...tags, name, agent })), silent }
    },

    /** @throws {TvRequestError} none, or several */
    async one(on: string, signal: AbortSignal): Promise<Found> {
      const { items } = await this.find(on, signal)
      if (items.length !== 1)
        throw new TvRequestError(`"${on}" names ${items.length} TVs, not one; see artel tv list`)
      return items[0]!
    },

    /** Asks another node. Never throws but for the signal: what goes wrong is the outcome. */
    async command(
      { agent, name: tv }: Pick<Found, 'agent' | 'name'>,
      {
        name,
        args,
        account
      }: { name: string; args: Record<string, string | number | boolean>; account?: string },
      signal: AbortSignal
    ): Promise<CommandAnswer> {
      const request = { id: randomUUID(), tv, name, args, account, expires: now() + GOOD_FOR_MS }
      for (let tries = 0; ; tries++) {
        try {
          return await peers.ask(agent, 'command', request, { signal })
        } catch (error) {
          signal.throwIfAborted()
          // the same id is done once: what was done meanwhile says so
          if (tries === 0 && (error as Error).name === 'UnreachableError') continue
          // it can have gone away in the middle
          return { is: 'unknown', why: `${agent}: ${(error as Error).message}`.slice(0, 500) }
        }
      }
    }
  }
}

export type Operator = ReturnType<typeof createOperator>
