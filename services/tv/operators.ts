import type { z } from 'zod'
import { type Asker, type Command, type CommandAnswer, commandOf, readOperation } from './commands.ts'
import { parseCondition } from './condition.ts'
import type { Devices, Peers } from './context.ts'
import { TvRequestError } from './errors.ts'
import { deviceOf } from './grants.ts'
import type { tvState } from './messages.ts'

const ASK_MS = 10_000
const FIND_MS = 2_000
/** what is thrown where nothing was sent to a TV */
const REFUSALS = [
  'TvRequestError',
  'TvRefusedError',
  'ConflictError',
  'ForbiddenError',
  'CommandError',
  'UnknownDeviceError',
  'UnknownOperationError'
]

export type TvState = z.output<typeof tvState>
export interface Found extends TvState {
  agent: string
}

export interface OperatorInit {
  peers: Peers
  agents(): readonly string[]
  /** those of this node */
  own(): TvState[]
  /** of the TVs of this node */
  look(tv: string, command: Command, asker: Asker, signal: AbortSignal): Promise<CommandAnswer>
  command: Devices['command']
}

/** The other end: finds TVs wherever they are, and asks the node beside each. */
export function createOperator({ peers, agents, own, look, command }: OperatorInit) {
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

    /** Asks the node beside it. Never throws but for the signal: what goes wrong is the outcome. */
    async command(
      { agent, name: tv }: Pick<Found, 'agent' | 'name'>,
      given: Command,
      account: string | undefined,
      signal: AbortSignal
    ): Promise<CommandAnswer> {
      try {
        const { operation } = readOperation(given)
        const { name, args } = given
        if (operation.risk === 0)
          return agent === peers.self
            ? await look(tv, given, { peer: agent, account }, signal)
            : await peers.ask(agent, 'look', { tv, name, args: args as never, account }, { signal })
        const wanted = { device: deviceOf(tv), agent, name: commandOf(operation), minutes: 1 }
        const {
          is,
          why,
          result = {}
        } = await command({ ...wanted, args: { operation: name, args } }, account ?? '', signal)
        return {
          is: is as CommandAnswer['is'],
          ...(why == null ? {} : { why }),
          ...(result as Pick<CommandAnswer, 'out' | 'readings'>)
        }
      } catch (error) {
        signal.throwIfAborted()
        const { name, message } = error as Error
        // it can have gone away in the middle
        return {
          is: REFUSALS.includes(name) ? 'refused' : 'unknown',
          why: `${agent}: ${message}`.slice(0, 500)
        }
      }
    }
  }
}

export type Operator = ReturnType<typeof createOperator>
