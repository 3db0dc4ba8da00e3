import { randomBytes } from 'node:crypto'
import type { Logger } from '@libp2p/interface'
import { type Grant, type Hearers, type ServicesEvents, toWire } from '../../host/index.ts'
import type { GatewayComponents } from '../contract.ts'
import { createOutbox, type Sink } from './outbox.ts'

/** So much is told again to who was away. */
const KEPT = 1_000
const FORM = /^([0-9a-f]{12})-(\d{1,15})$/

/** What one service tells, numbered, so that who was away for a while misses nothing. */
export interface Backlog {
  /**
   * Tells what came after a cursor that was told before, or `missed` where that is not known any more, and then everything
   * from now on. The answer ends it.
   */
  add(sink: Sink, reader: Grant, after: string | undefined): () => void
  close(): void
}

/** `{ cursor, type, value? }` as JSON; a cursor counts until the node starts anew. */
export function createBacklog(
  service: string,
  { services, log }: { services: GatewayComponents['services']; log: Logger }
): Backlog {
  const life = randomBytes(6).toString('hex')
  const readers = new Map<ReturnType<typeof createOutbox>, Grant>()
  const kept: { text: string; to: Hearers | undefined }[] = []
  let told = 0

  const wire = (type: string, value?: unknown): string =>
    toWire({ cursor: `${life}-${told}`, type, ...(value === undefined ? {} : { value }) })

  function onTell({ detail: { type, value, to } }: ServicesEvents['tell']): void {
    if (!type.startsWith(`${service}:`)) return
    told++
    try {
      kept.push({ text: wire(type, value), to })
    } catch (error) {
      log.error('%s cannot be told: %e', type, error)
      kept.push({ text: wire('missed'), to })
    }
    if (kept.length > KEPT) kept.shift()
    const { text } = kept.at(-1)!
    for (const [outbox, reader] of readers) if (to?.(reader) !== false) outbox.put(String(told), text)
  }
  services.addEventListener('tell', onTell)

  /** undefined: it is not known what came after it */
  function since(after: string, reader: Grant): string[] | undefined {
    const [, of, number] = FORM.exec(after) ?? []
    const missed = told - Number(number)
    if (of !== life || missed < 0 || missed > kept.length) return undefined
    return kept.slice(kept.length - missed).flatMap(({ text, to }) => (to?.(reader) === false ? [] : text))
  }

  return {
    add(sink, reader, after) {
      const outbox = createOutbox(sink)
      const missed = after == null ? [] : (since(after, reader) ?? [wire('missed')])
      for (const [at, text] of [...missed, wire('here')].entries()) outbox.put(`since ${at}`, text)
      readers.set(outbox, reader)
      return () => readers.delete(outbox)
    },
    close() {
      services.removeEventListener('tell', onTell)
      readers.clear()
    }
  }
}
