import { createHash } from 'node:crypto'
import type { Command, Signed } from '../core/command.ts'
import { AuthError, BusyError, VERDICTS } from '../errors.ts'
import type { Database } from '../store/database.ts'

type Outcome = { answer: unknown } | { error: { name: string; message: string } }

/** Commands that were done already: asked again, they are answered and not done again. */
export interface Answered {
  once(command: Command, signed: Signed, work: () => Promise<unknown>): Promise<unknown>
  /** Lets go of those whose time is over: they are refused by it. */
  forget(now: number): Promise<void>
}

/** What was answered outlives the node; a command that a crash cut off is not begun a second time. */
export function createAnswered(db: Database): Answered {
  const underWay = new Map<string, { digest: string; outcome: Promise<Outcome> }>()

  async function run(key: string, digest: string, command: Command, work: () => Promise<unknown>) {
    const won = await db.query(
      `INSERT INTO nonces (nonce, caller, expires, answer) VALUES ($1, $2, $3, $4)
       ON CONFLICT DO NOTHING RETURNING nonce`,
      ...[key, command.caller, command.expires, JSON.stringify({ digest })]
    )
    if (won.length === 0) return repeat(key, digest)
    const outcome = await outcomeOf(work)
    await db.query(
      'UPDATE nonces SET answer = $2 WHERE nonce = $1',
      ...[key, JSON.stringify({ digest, outcome })]
    )
    return outcome
  }

  async function repeat(key: string, digest: string): Promise<Outcome> {
    const [row] = await db.query<{ answer: string }>('SELECT answer FROM nonces WHERE nonce = $1', key)
    const known = JSON.parse(row?.answer ?? '{}') as { digest?: string; outcome?: Outcome }
    if (known.digest !== digest) throw reused()
    if (known.outcome === undefined)
      throw new BusyError('the node ended while it did this command; look how far it came')
    return known.outcome
  }

  return {
    async once(command, { envelope }, work) {
      const key = `${command.caller}/${Buffer.from(command.nonce).toString('hex')}`
      const digest = createHash('sha256').update(envelope).digest('base64')
      let mine = underWay.get(key)
      if (mine === undefined) {
        mine = { digest, outcome: run(key, digest, command, work) }
        underWay.set(key, mine)
        const done = () => void underWay.delete(key)
        mine.outcome.then(done, done)
      }
      if (mine.digest !== digest) throw reused()
      const outcome = await mine.outcome
      if ('error' in outcome)
        throw Object.assign(new Error(outcome.error.message), { name: outcome.error.name })
      return outcome.answer
    },
    async forget(now) {
      await db.query('DELETE FROM nonces WHERE expires <= $1', now)
    }
  }
}

const reused = () => new AuthError('the command was refused: its nonce was used for another one')

/** A refusal is an answer; a fault of ours is none, and the command stays cut off. */
async function outcomeOf(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { answer: await work() }
  } catch (error) {
    const { name, message } = error as Error
    if (VERDICTS[name] === undefined) throw error
    return { error: { name, message } }
  }
}
