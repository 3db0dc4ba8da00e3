import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Bookings } from './bookings.ts'
import type { Values } from './condition.ts'
import { TvRefusedError, TvRequestError } from './errors.ts'
import { isGranted, type TvGrant } from './grants.ts'
import { operationNamed } from './operations/table.ts'
import { createTogether } from './together.ts'
import type { Tv } from './tv.ts'

const WEEK_MS = 7 * 86_400_000
/** of one peer that are kept; more are refused until old ones are let go */
const MAX_KEPT = 50_000

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
  id: string
  tv: string
  name: string
  args: Record<string, unknown>
  /** ms since 1970 */
  expires: number
}

/** Who asks: a node, and the person there. */
export interface Asker {
  peer: string
  /** of this node: it may everything but what nobody may */
  isOwn: boolean
  account?: string
}

export const nameOf = ({ peer, account }: Asker): string => (account == null ? peer : `${peer}/${account}`)

export interface CommandsInit {
  db: DatabaseSync
  tvs: ReadonlyMap<string, Tv>
  bookings: Bookings
  grants(): readonly TvGrant[]
  /** what can break a TV is allowed at all */
  isRisky(): boolean
  now(): number
}

/** What is asked of TVs here: decided on this node, each once, with every outcome in the log. */
export function createCommands({ db, tvs, bookings, grants, isRisky, now }: CommandsInit) {
  const find = db.prepare('SELECT answer FROM command WHERE peer = ? AND id = ?')
  const begin = db.prepare('INSERT INTO command (peer, id, tv, name, at) VALUES (?, ?, ?, ?, ?)')
  const finish = db.prepare('UPDATE command SET answer = ? WHERE peer = ? AND id = ?')
  const count = db.prepare('SELECT count(*) AS n FROM command WHERE peer = ?')
  const together = createTogether(db)
  /** asked again while it runs: the same outcome */
  const running = new Map<string, Promise<CommandAnswer>>()

  /** Why not; undefined: it may. Nothing has been sent. */
  function refusal(
    { tv, name, args, expires }: Command,
    asker: Asker
  ): { is: Outcome; why: string } | undefined {
    const refused = (why: string) => ({ is: 'refused' as const, why })
    const target = tvs.get(tv)
    const operation = operationNamed(name)
    if (target == null) return refused(`there is no TV "${tv.slice(0, 50)}" here; see artel tv list`)
    if (operation == null)
      return refused(`there is no operation "${name.slice(0, 50)}"; see artel tv operations`)
    if (!asker.isOwn && !isGranted(grants(), asker.peer, operation.verb, target.about, now()))
      return refused(`${asker.peer} has no grant for ${operation.verb} on ${tv}`)
    if (expires < now()) return { is: 'expired', why: `it was good until ${new Date(expires).toISOString()}` }
    const read = operation.args.safeParse(args)
    if (!read.success)
      return refused(`${name}: ${z.prettifyError(read.error).replaceAll('\n', ' ').slice(0, 300)}`)
    if (operation.risk === 3 && !isRisky()) return refused(`${name} is off here, see tv.risky`)
    const holder = bookings.holder(tv)
    if (operation.risk > 0 && holder != null && holder.who !== nameOf(asker))
      return refused(
        `${tv} is held by ${holder.who} until ${new Date(holder.to).toISOString()}: ${holder.why}`
      )
    if (operation.risk > 0 && (count.get(asker.peer) as { n: number }).n >= MAX_KEPT)
      return refused(`${asker.peer} has asked for ${MAX_KEPT} commands within a week; ask again tomorrow`)
    return undefined
  }

  async function run(command: Command, asker: Asker, signal: AbortSignal): Promise<CommandAnswer> {
    const { id, tv, name, args } = command
    const target = tvs.get(tv)!
    const operation = operationNamed(name)!
    const about = { id, by: nameOf(asker), name }
    // what only looks changes nothing: it can be done again, and would fill the log
    const isNoted = operation.risk > 0
    if (isNoted) {
      await together(() => begin.run(asker.peer, id, tv, name, now()))
      await target.note('command', { ...about, is: 'started' })
    }
    let answer: CommandAnswer
    try {
      answer = { is: 'done', ...(await target.perform(operation, operation.args.parse(args), signal)) }
    } catch (error) {
      const { name: kind, message } = error as Error
      // it was sent, and no answer came: nobody can say whether it was done
      const isUnknown = kind === 'TvOverdueError' || signal.aborted
      answer = { is: isUnknown ? 'unknown' : 'failed', why: message.slice(0, 500) }
    }
    if (isNoted) {
      await together(() => finish.run(JSON.stringify(answer), asker.peer, id))
      const { is, why } = answer
      await target.note('command', { ...about, is, ...(why == null ? {} : { why }) })
    }
    return answer
  }

  return {
    /**
     * Never throws what the TV or the asker did: that is the outcome. The same id of the same node is done once, unless
     * it only looks.
     */
    async execute(command: Command, asker: Asker, signal: AbortSignal): Promise<CommandAnswer> {
      const key = `${asker.peer} ${command.id}`
      const under = running.get(key)
      if (under != null) return under
      const before = find.get(asker.peer, command.id) as { answer: string | null } | undefined
      if (before != null)
        return before.answer == null
          ? { is: 'unknown', why: 'this node ended while it was done' }
          : (JSON.parse(before.answer) as CommandAnswer)
      const why = refusal(command, asker)
      if (why != null) {
        // strangers cannot fill the log
        const isKnown = asker.isOwn || grants().some(({ peer }) => peer === asker.peer)
        if (isKnown)
          await tvs
            .get(command.tv)
            ?.note('command', { id: command.id, by: nameOf(asker), name: command.name.slice(0, 50), ...why })
        return why
      }
      const done = run(command, asker, signal)
      running.set(key, done)
      try {
        return await done
      } finally {
        running.delete(key)
      }
    },

    /** The asker may use this verb on this TV. @throws {TvRefusedError | TvRequestError} */
    demand(tv: string, asker: Asker, verb: TvGrant['verbs'][number]): Tv {
      const target = tvs.get(tv)
      if (target == null)
        throw new TvRequestError(`there is no TV "${tv.slice(0, 50)}" here; see artel tv list`)
      if (!asker.isOwn && !isGranted(grants(), asker.peer, verb, target.about, now()))
        throw new TvRefusedError(`${asker.peer} has no grant for ${verb} on ${tv}`)
      return target
    },

    /** What a crash left in the middle is said to be unknown. */
    async recover(): Promise<void> {
      const left = db.prepare('SELECT peer, id, tv, name FROM command WHERE answer IS NULL').all() as {
        peer: string
        id: string
        tv: string
        name: string
      }[]
      for (const { peer, id, tv, name } of left) {
        const why = 'this node ended while it was done'
        await tvs.get(tv)?.note('command', { id, by: peer, name, is: 'unknown', why })
        finish.run(JSON.stringify({ is: 'unknown', why }), peer, id)
      }
    },

    tidy: (): void => void db.prepare('DELETE FROM command WHERE at < ?').run(now() - WEEK_MS)
  }
}

export type Commands = ReturnType<typeof createCommands>
