import { randomUUID } from 'node:crypto'
import { type Bytes, ForbiddenError, type HostOf, type MessageHandlers } from '../../host/index.ts'
import { EVENTS_TYPE } from '../answer.ts'
import type { declaration } from '../declaration.ts'
import { UnknownNameError } from '../errors.ts'
import { type Flight, startFlight } from '../flight.ts'
import { MAX_PIECE_BYTES, type messages } from '../messages.ts'
import { MAX_BYTES } from '../provider/send.ts'
import type { Credits } from '../store/credits.ts'
import type { Providers } from '../store/providers.ts'
import { createKeep } from './keep.ts'

const USES = ['chat', 'embeddings'] as const

/** Transfers with this word are for answers; others are something else. */
export const MEMO = 'assistant'
/** The newest entries of the ledger, which are looked through for payments: when somebody has nothing left, and regularly. */
const ENTRIES = 1_000

export interface SellInit {
  host: Pick<HostOf<typeof declaration>, 'config' | 'wanted' | 'peers'>
  credits: Pick<Credits, 'book' | 'left'>
  providers: Pick<Providers, 'routes'>
  /** Knows a user from now on, who may spend what he has paid. */
  see(user: { id: string; name: string; quota: bigint }): string
  answer(use: (typeof USES)[number], user: string, body: Uint8Array, signal: AbortSignal): Promise<Bytes>
}

/**
 * Answers to other nodes that the owner has named, for credits: each is a user who may spend what his node has transferred
 * beforehand. What is sold goes to the provider each time: whose people ask is known to the buyer alone, and what one of
 * them has asked must not show in how soon another one is answered. An answer that is lost on its way is kept for its question.
 */
export function createSell({ host, credits, providers, see, answer }: SellInit) {
  const keep = createKeep()

  /** @throws {ForbiddenError} */
  function buyer(peer: string): string {
    if (!host.config.buyers.includes(peer))
      throw new ForbiddenError('this node sells nothing to yours; its owner names buyers')
    return see({ id: `peer-${peer}`, name: peer, quota: 0n })
  }

  /** Counts what buyers have paid and was not counted yet. */
  function book(): void {
    const { buyers } = host.config
    if (buyers.length === 0) return
    for (const { type, from, to, seq, amount, memo } of host.wanted.ledger?.history({ limit: ENTRIES }) ?? [])
      if (type === 'transfer' && to === host.peers.self && memo?.split(' ')[0] === MEMO)
        if (buyers.includes(from)) credits.book(buyer(from), seq, amount)
  }

  /** The answer of HTTP as pieces: what it is, then its bytes. */
  function begin(key: string, use: (typeof USES)[number], user: string, body: Uint8Array): Flight {
    const flight = startFlight(async (put, signal) => {
      let given = await answer(use, user, body, signal)
      if (given.status === 402) {
        // another question of his may have counted it just now
        book()
        given = await answer(use, user, body, signal)
      }
      const { status = 200, type, headers, chunks } = given
      const retryAfter = headers?.['retry-after']
      put({ text: JSON.stringify({ status, isStream: type === EVENTS_TYPE, retryAfter }) })
      for await (const chunk of chunks)
        for (let at = 0; at < chunk.length; at += MAX_PIECE_BYTES)
          put({ text: Buffer.from(chunk.subarray(at, at + MAX_PIECE_BYTES)).toString('latin1') })
      return { status }
    }, MAX_BYTES)
    // what has cost nothing is asked for anew
    const forget = (): void => keep.forget(key)
    flight.whole.then(({ status }) => (status === 200 ? undefined : forget()), forget)
    return flight
  }

  const modelsOf = (use: (typeof USES)[number]) =>
    providers
      .routes(use)
      .filter(({ provider }) => provider.isSold)
      .map(({ model: { id, inputPerMillion, outputPerMillion, maxOutputTokens } }) => ({
        id,
        use,
        inputPerMillion,
        outputPerMillion,
        maxOutputTokens
      }))

  const handlers = {
    async buy({ use, body, id, from = 0 }, { peer, signal, send }) {
      const user = buyer(peer)
      // without an id nobody can come back for it
      const key = `${peer} ${id ?? randomUUID()}`
      if (from > 0 && !keep.has(key))
        throw new UnknownNameError('the answer to this question is kept no more')
      const reader = keep.join(key, () => begin(key, use, user, body))
      const leave = (): void => reader.leave()
      signal.addEventListener('abort', leave, { once: true })
      let at = from
      try {
        if (id != null) await send({ isKept: true })
        for await (const { text } of reader.pieces(from))
          await send(at++ === 0 ? JSON.parse(text) : { bytes: Buffer.from(text, 'latin1') })
      } finally {
        leave()
        if (id == null) keep.forget(key)
      }
      return {}
    },
    leave({ id }, { peer }) {
      keep.forget(`${peer} ${id}`)
      return {}
    },
    offer(_, { peer }) {
      const user = buyer(peer)
      book()
      return { left: credits.left(user), models: USES.flatMap(use => modelsOf(use)) }
    }
  } satisfies Pick<MessageHandlers<typeof messages>, 'buy' | 'leave' | 'offer'>
  return { handlers, book, close: keep.close }
}
