import { z } from 'zod'
import type { Bookings } from './bookings.ts'
import type { Values } from './condition.ts'
import type { Devices } from './context.ts'
import { TvRefusedError, TvRequestError } from './errors.ts'
import type { May } from './grants.ts'
import type { TvOperation } from './operations/contract.ts'
import { OPERATIONS, operationNamed } from './operations/table.ts'
import type { Tv } from './tv.ts'

const MINUTE_MS = 60_000
/** most that a command may take */
const MOST_MS = 10 * MINUTE_MS
const OWNER = 'owner'

/** How it ended. `unknown`: it was begun, and nobody can say. */
export type Outcome = 'done' | 'failed' | 'refused' | 'expired' | 'unknown'

export interface CommandAnswer {
  is: Outcome
  why?: string
  out?: string
  readings?: Values
  picture?: Uint8Array
}

export interface Command {
  name: string
  args: Record<string, unknown>
}

/** Who asks: a node, and the person there. */
export interface Asker {
  peer: string
  account?: string
}

export const nameOf = ({ peer, account }: Asker): string => (account == null ? peer : `${peer}/${account}`)

type DeviceCommands = NonNullable<Parameters<Devices['open']>[0]['commands']>

/** Operations that look are asked; the others are commands of the device, one for each verb and risk. */
export const commandOf = ({ verb, risk }: Pick<TvOperation, 'verb' | 'risk'>): string =>
  risk === 2 ? `${verb}.disturb` : verb

const COMMANDS = Map.groupBy(
  OPERATIONS.filter(({ risk }) => risk > 0),
  commandOf
)

/** @throws {TvRequestError} there is none, or it has other arguments */
export function readOperation({ name, args }: Command): {
  operation: TvOperation
  args: Record<string, unknown>
} {
  const operation = operationNamed(name)
  if (operation == null)
    throw new TvRequestError(`there is no operation "${name.slice(0, 50)}"; see artel tv operations`)
  const read = operation.args.safeParse(args)
  if (!read.success)
    throw new TvRequestError(`${name}: ${z.prettifyError(read.error).replaceAll('\n', ' ').slice(0, 300)}`)
  return { operation, args: read.data }
}

export interface CommandsInit {
  tvs: ReadonlyMap<string, Tv>
  bookings: Bookings
  may: May
}

/**
 * What is done with TVs here. Who may, once, and every step in the log is the part of the service devices; who holds a TV
 * is looked at here.
 */
export function createCommands({ tvs, bookings, may }: CommandsInit) {
  /** @throws {TvRefusedError} */
  function demandFree(tv: string, asker: Asker): void {
    const holder = bookings.holder(tv)
    if (holder != null && holder.who !== nameOf(asker))
      throw new TvRefusedError(
        `${tv} is held by ${holder.who} until ${new Date(holder.to).toISOString()}: ${holder.why}`
      )
  }

  /** @throws {TvRequestError} */
  function tvNamed(tv: string): Tv {
    const found = tvs.get(tv)
    if (found == null) throw new TvRequestError(`there is no TV "${tv.slice(0, 50)}" here; see artel tv list`)
    return found
  }

  /** The asker may do that with this TV. @throws {TvRefusedError | TvRequestError} */
  function demand(tv: string, { peer }: Asker, name: string, risk: 0 | 1 | 2 = 1): Tv {
    const target = tvNamed(tv)
    if (!may(peer, tv, name, risk)) throw new TvRefusedError(`${peer} has no grant for ${name} on ${tv}`)
    return target
  }

  async function perform(tv: string, command: Command, asker: Asker, signal: AbortSignal) {
    const { operation, args } = readOperation(command)
    demandFree(tv, asker)
    return tvNamed(tv).perform(operation, args, signal)
  }

  return {
    demand,

    /** The commands of the device of a TV. */
    commandsOf: (tv: string): DeviceCommands =>
      Object.fromEntries(
        [...COMMANDS].map(([name, operations]) => [
          name,
          {
            summary: `${operations[0]!.verb}: ${operations.length} operations, see tv operations`,
            risk: operations[0]!.risk,
            args: z.strictObject({
              operation: z.enum(operations.map(each => each.name) as [string, ...string[]]),
              args: z.record(z.string().max(64), z.unknown()).default({})
            }),
            deadlineMs: Math.min(
              MOST_MS,
              MINUTE_MS + Math.max(...operations.map(({ deadlineMs = 0 }) => deadlineMs))
            ),
            // each TV has a queue, and a film goes aside of it
            isAside: true,
            async run({ operation, args }, signal, { by, signers }) {
              const [peer] = signers as [string]
              const command = { name: operation as string, args: args as Command['args'] }
              const asker = { peer, ...(by === '' || by === OWNER ? {} : { account: by }) }
              const { out, readings } = await perform(tv, command, asker, signal)
              return { ...(out == null ? {} : { out }), ...(readings == null ? {} : { readings }) }
            }
          } satisfies DeviceCommands[string]
        ])
      ),

    /** Does what only looks: that can be done again, and would fill the log. Never throws what the TV or the asker did. */
    async look(tv: string, command: Command, asker: Asker, signal: AbortSignal): Promise<CommandAnswer> {
      return answerOf(async () => {
        const { operation, args } = readOperation(command)
        if (operation.risk > 0) throw new TvRefusedError(`${command.name} does something; it is a command`)
        return demand(tv, asker, operation.verb, 0).perform(operation, args, signal)
      }, signal)
    },

    /**
     * Does what somebody's card says, with what he may at this moment: the node beside the TV carries it out, also alone.
     * Never throws what the TV or he did.
     */
    async act(tv: string, command: Command, asker: Asker, signal: AbortSignal): Promise<CommandAnswer> {
      return answerOf(async () => {
        const { operation } = readOperation(command)
        const { risk } = operation
        if (risk === 3) throw new TvRefusedError(`${command.name} needs two signers`)
        const target = demand(tv, asker, commandOf(operation), risk)
        demandFree(tv, asker)
        const about = { by: nameOf(asker), name: command.name }
        await target.note('command', { ...about, is: 'started' })
        const answer = await answerOf(() => perform(tv, command, asker, signal), signal)
        const { is, why } = answer
        await target.note('command', { ...about, is, ...(why == null ? {} : { why }) })
        return answer
      }, signal)
    }
  }
}

export type Commands = ReturnType<typeof createCommands>

async function answerOf(
  work: () => Promise<Omit<CommandAnswer, 'is'> & { is?: Outcome }>,
  signal: AbortSignal
): Promise<CommandAnswer> {
  try {
    return { is: 'done', ...(await work()) }
  } catch (error) {
    const { name, message, isUnknown } = error as Error & { isUnknown?: boolean }
    const why = message.slice(0, 500)
    if (name === 'TvRefusedError' || name === 'TvRequestError') return { is: 'refused', why }
    // it was sent, and no answer came: nobody can say whether it was done
    return { is: isUnknown === true || signal.aborted ? 'unknown' : 'failed', why }
  }
}
