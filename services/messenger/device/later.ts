import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { hash32, pack, unpack } from '../core/codec.ts'
import { MAX_LATER } from '../core/constants.ts'
import { type EventBody, MAX_EVENT_BYTES } from '../core/event.ts'
import type { Period } from '../core/quiet.ts'
import { PolicyError } from '../errors.ts'
import type { createStatements } from '../store/database.ts'

const written = z.object({ text: z.string(), reply: hash32.optional(), confirm: z.literal(true).optional() })

export interface LaterInit {
  say(grp: string, kind: 'text', body: EventBody<'text'>, key: string): Promise<string>
  /** what was written under a key before */
  sentAs(key: string): string | undefined
  /** the quiet hours of this person that are now */
  quiet(): Period | undefined
  now(): number
  changed(grp: string): void
}
export interface Waiting {
  n: number
  chat: string
  at: number
  text: string
  /** why it did not go when it was tried */
  failed?: string
}

/** What a person writes in quiet hours: it is kept on this disk, and goes when they end. */
export function createLater({ all, run }: ReturnType<typeof createStatements>, init: LaterInit) {
  type Row = { n: number; key: string; grp: string; body: Uint8Array; at: number }
  const rows = all<Row>('SELECT * FROM later ORDER BY n')
  const add = run('INSERT OR IGNORE INTO later (key, grp, body, at) VALUES (?, ?, ?, ?)')
  const drop = run('DELETE FROM later WHERE n = ?')
  const failures = new Map<number, string>()
  const bodyOf = ({ body }: Row): EventBody<'text'> =>
    unpack(written, body, MAX_EVENT_BYTES, 'what was written') as EventBody<'text'>

  return {
    /**
     * Says it, or keeps it until quiet hours end: then `until`. Under the same key once.
     *
     * @throws {PolicyError} too much waits
     */
    async write(
      grp: string,
      body: EventBody<'text'>,
      key: string = randomUUID()
    ): Promise<{ id: string } | { until: number }> {
      const quiet = init.quiet()
      if (quiet == null || init.sentAs(key) != null) return { id: await init.say(grp, 'text', body, key) }
      if (rows().length >= MAX_LATER)
        throw new PolicyError(`${MAX_LATER} messages wait for the end of quiet hours; drop some first`)
      add(key, grp, pack(body), init.now())
      init.changed(grp)
      return { until: quiet.until }
    },
    list: (): Waiting[] =>
      rows().map(row => {
        const failed = failures.get(row.n)
        const { n, grp, at } = row
        return { n, chat: grp, at, text: bodyOf(row).text, ...(failed == null ? {} : { failed }) }
      }),
    /** Whether it was there. */
    drop(n: number): boolean {
      const grp = rows().find(row => row.n === n)?.grp
      drop(n)
      if (grp != null) init.changed(grp)
      return grp != null
    },
    /** Says what waits, each chat in its order, as far as it can be said. */
    async tend(): Promise<void> {
      if (init.quiet() != null) return
      const stuck = new Set<string>()
      for (const row of rows()) {
        const { n, grp, key } = row
        if (stuck.has(grp)) continue
        try {
          await init.say(grp, 'text', bodyOf(row), key)
          drop(n)
          failures.delete(n)
          init.changed(grp)
        } catch (error) {
          // its person sees why, and it is tried again
          stuck.add(grp)
          const { message } = error as Error
          if (failures.get(n) !== message) init.changed(grp)
          failures.set(n, message)
        }
      }
    }
  }
}
