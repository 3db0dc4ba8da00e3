import type { Logger } from '@libp2p/interface'
import { bytesOf, integer, list, text } from '../records/codec.ts'
import { isSignedBy } from '../records/keys.ts'
import { type LedgerNetwork, quorumOf } from '../records/network.ts'
import { encodeSegment, type HashedSegment, tipOf, VOTE_DOMAIN, type Vote } from '../records/segment.ts'
import type { AccountId } from '../records/types.ts'
import { type Item, SEGMENT_ITEM } from '../store/store.ts'
import { pause } from '../time.ts'
import { segmentsFrom } from './recovery.ts'
import type { Answer, Refusal } from './witness.ts'

/** A witness that does not answer in time is asked again later. */
const REQUEST_TIMEOUT_MS = 5_000
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 10_000
/** Refusals that time does not heal. */
const FINAL: Refusal[] = ['invalid', 'frozen', 'conflict']
/** Without a reason of ours every wake-up makes an error with a stack, several times per job. */
const WOKEN = new Error('there is something new')

export interface CertifierInit {
  network: LedgerNetwork
}

export interface CertifierComponents {
  log: Logger
  request(
    witness: AccountId,
    method: string,
    body: unknown,
    options: { signal: AbortSignal }
  ): Promise<unknown>
  /** Resolves when the witness told what it knows of the own chain, which may change what is to be certified. */
  heard(witness: AccountId, signal: AbortSignal): Promise<void>
  /** Whether the run is still what this node wants to have certified. */
  isCurrent(segment: HashedSegment): boolean
  /** The next run to certify, if there is one. */
  next(): HashedSegment | undefined
  hasNext(): boolean
  /** What `next` gave survives a power cut. */
  synced(): Promise<void>
  /** A run got its certificate. */
  onCertified(bytes: Uint8Array): void
  /** Enough witnesses refuse for good. */
  onRefused(refusal: Refusal): void
  /** Certified runs of this account from a number on, for a witness that is behind. */
  since(seq: number): Uint8Array[]
  /** Takes runs of this account that a witness knows and we do not. */
  adopt(segments: Uint8Array[]): void
}

/** Brings the orders of this node to the witnesses, as many as there are in one round trip, for as long as it takes. */
export interface Certifier {
  /** There is something to do. */
  kick(): void
  /** A witness came back: asks again at once what waits for its next try. */
  retry(): void
  /** Runs until the signal. */
  run(signal: AbortSignal): Promise<void>
}

export const answerToTuple = (answer: Answer): unknown[] =>
  'vote' in answer ? [answer.vote] : [answer.refusal, answer.next]

function answerFrom(value: unknown): Answer {
  const tuple = list(value, 'an answer', 1, 2)
  if (tuple.length === 1) return { vote: bytesOf(tuple[0], 'vote', 64) }
  return {
    refusal: text(tuple[0], 'refusal', 16) as Refusal,
    next: integer(tuple[1], 'next', 0, Number.MAX_SAFE_INTEGER)
  }
}

export const createCertifier =
  ({ network }: CertifierInit) =>
  (components: CertifierComponents): Certifier => {
    const { log, request, heard, isCurrent, next, synced, hasNext, onCertified, onRefused, since, adopt } =
      components
    const quorum = quorumOf(network)
    let idle: AbortController | undefined
    let awake = new AbortController()
    /** certified, and not yet told to the witnesses */
    let news: Uint8Array[] = []

    const rest = (ms: number, signal: AbortSignal): Promise<void> =>
      pause(ms, AbortSignal.any([signal, awake.signal]))

    /** One vote, or the final refusal, of one witness; asks until the signal. */
    const ask = async (
      witness: AccountId,
      segment: HashedSegment,
      bytes: Uint8Array,
      known: Uint8Array[],
      signal: AbortSignal
    ): Promise<Uint8Array | Refusal | undefined> => {
      let delay = FIRST_RETRY_MS
      let told = known
      while (!signal.aborted) {
        try {
          const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
          await heard(witness, limit)
          if (!isCurrent(segment)) return undefined
          const answer = answerFrom(await request(witness, 'vote', [told, bytes], { signal: limit }))
          told = []
          if ('vote' in answer) {
            if (isSignedBy(witness, VOTE_DOMAIN, tipOf(segment), answer.vote)) return answer.vote
            throw new Error('a vote with a wrong signature')
          }
          if (FINAL.includes(answer.refusal)) return answer.refusal
          log('witness %s refuses: %s', witness, answer.refusal)
          if (answer.refusal === 'behind' && answer.next < segment.seq) {
            told = since(answer.next)
            if (told.length > 0 && delay < LAST_RETRY_MS) {
              delay *= 2
              continue
            }
          }
          if (answer.refusal === 'ahead') {
            const chain = await request(witness, 'chain', [segment.account, segment.seq], { signal: limit })
            adopt(segmentsFrom(list(chain, 'an answer', 3)[1]))
            if (!isCurrent(segment)) return undefined
          }
        } catch (error) {
          if (signal.aborted) return undefined
          log('witness %s: %s', witness, (error as Error).message)
        }
        await rest(delay, signal)
        delay = Math.min(delay * 2, LAST_RETRY_MS)
      }
      return undefined
    }

    /** The votes of a quorum, or nothing when the run is refused or out of date. */
    const gather = async (segment: HashedSegment, signal: AbortSignal): Promise<Vote[] | undefined> => {
      const enough = new AbortController()
      const until = AbortSignal.any([signal, enough.signal])
      const bytes = encodeSegment(segment)
      const known = news
      news = []
      const votes: Vote[] = []
      let refused = 0
      await Promise.all(
        network.witnesses.map(async (account, witness) => {
          const answer = await ask(account, segment, bytes, known, until)
          if (answer instanceof Uint8Array) votes.push({ witness, signature: answer })
          else if (answer != null) {
            refused += 1
            if (refused > network.witnesses.length - quorum) onRefused(answer)
          }
          const isHopeless = refused > network.witnesses.length - quorum
          if (votes.length >= quorum || isHopeless || !isCurrent(segment)) enough.abort(WOKEN)
        })
      )
      if (votes.length < quorum) return undefined
      return votes.slice(0, quorum).sort((a, b) => a.witness - b.witness)
    }

    return {
      // only an idle certifier: a thousand new orders must not make a thousand retries
      kick: () => idle?.abort(WOKEN),
      retry: () => {
        awake.abort(WOKEN)
        awake = new AbortController()
      },
      run: async signal => {
        while (!signal.aborted) {
          const segment = next()
          if (segment == null) {
            idle = new AbortController()
            await pause(LAST_RETRY_MS, AbortSignal.any([signal, idle.signal]))
            idle = undefined
            continue
          }
          // a power cut must not make us sign another order with a number that a witness has seen
          await synced()
          const votes = await gather(segment, signal)
          if (votes == null) continue
          const bytes = encodeSegment({ ...segment, votes })
          onCertified(bytes)
          if (hasNext()) news = [bytes]
          else tell(network, request, log, [[SEGMENT_ITEM, bytes]])
        }
      }
    }
  }

/** Tells all witnesses; who misses it learns it later from the log or as `behind`. */
export function tell(
  { witnesses }: LedgerNetwork,
  request: CertifierComponents['request'],
  log: Logger,
  items: Item[]
): void {
  for (const witness of witnesses) {
    request(witness, 'items', items, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }).catch(error =>
      log('witness %s: %s', witness, (error as Error).message)
    )
  }
}
