import type { Barred, Unmet, Waiting } from '../contract.ts'
import type { Kept, Obstacle } from '../coordinator/obstacles.ts'
import { type Lack, lacks, type Needs } from '../market/match.ts'
import type { OfferFields } from '../protocol/compute-messages.ts'

// Names in a report; who needs all of them asks for the workers.
const MAX_NAMED = 32
const MAX_REASON_CHARS = 200

export interface WaitingInit {
  needs: Needs
  /** equal answers that are asked for, of workers of different owners */
  quorum?: number
  /** what keeps the linked workers, this node among them, from the job */
  kept: readonly Kept[]
  /** workers on offer that are not linked */
  unlinked(): readonly OfferFields[]
  /** what linked workers offer, this node among them */
  linked: ReadonlyMap<string, OfferFields>
  /** why a worker refused last */
  refusal(worker: string): string | undefined
}

/** Why nothing of a job is at work, in words, with what is asked and the best that is offered. Pure. */
export function whyWaiting(init: WaitingInit): Waiting {
  const { needs, quorum, kept } = init
  if (kept.some(({ by }) => by === 'busy'))
    return { message: 'the workers that can take it are busy with other work', unmet: [] }
  const offers = init.unlinked()
  const others = kept.filter(({ own }) => !own)
  const isReserve = kept.some(({ by }) => by === 'reserve')
  if (isReserve && offers.length === 0 && others.every(({ by }) => by === 'closed')) {
    const known = others.length === 0 ? 'no other node is known that does' : 'no other node does at present'
    const todo = 'start one elsewhere, or let this one compute (setting `compute`)'
    return { message: `this node lends nothing, and ${known}; ${todo}`, unmet: [] }
  }
  const lacking = new Set<Lack>(
    [...kept.map(({ by }) => by), ...offers.map(offer => lacks(needs, offer))].filter(isLack)
  )
  const unmet = [...lacking].filter(lack => lack !== 'closed').map(lack => unmetOf(lack, init))
  if (kept.some(({ by }) => by === 'price')) unmet.push(unmetOf('price', init))
  const count = (which: Obstacle): number => kept.filter(({ by }) => by === which).length
  const able = offers.filter(offer => lacks(needs, offer) == null).length
  const said: (string | false)[] = [
    ...unmet.map(inWords),
    lacking.has('closed') && 'some lend nothing at present',
    count('privacy') > 0 && 'privacy.workers names nobody who is here and can take it',
    count('excluded') > 0 && `${workers(count('excluded'))} excluded for wrong answers for a time`,
    count('answered') > 0 &&
      (quorum == null
        ? `${workers(count('answered'))} had it already, and it needs another`
        : `quorum:${quorum} needs ${quorum} workers of different owners, and nobody else can take it`),
    count('disputed') > 0 &&
      `${workers(count('disputed'))} not asked until it is known whose answer is right`,
    count('silent') > 0 && `${workers(count('silent'))} silent`,
    count('refused') > 0 && refusals(init),
    able > 0 && `${workers(able)} on offer, not reached yet`
  ]
  return { message: `no worker can take it now: ${said.filter(Boolean).join('; ')}`, unmet }
}

/** Who gets nothing of a job, why, and for how long. */
export function barred(kept: readonly Kept[], refusal: (worker: string) => string | undefined): Barred[] {
  const reasons: Partial<Record<Obstacle, string>> = {
    excluded: 'its answers were wrong too often',
    disputed: 'its answer differs from another’s, and it is not known yet who is right'
  }
  const all = kept.flatMap(({ worker, by, until }) => {
    const reason = by === 'refused' ? (refusal(worker) ?? 'it refused') : reasons[by]
    return reason == null
      ? []
      : { worker, reason: reason.slice(0, MAX_REASON_CHARS), ...(until == null ? {} : { until }) }
  })
  return all.slice(0, MAX_NAMED)
}

const isLack = (by: Obstacle | undefined): by is Lack =>
  by === 'closed' || by === 'memory' || by === 'type' || by === 'tags'

const workers = (n: number): string => (n === 1 ? '1 worker is' : `${n} workers are`)

function unmetOf(requirement: Unmet['requirement'], init: WaitingInit): Unmet {
  const { needs, kept, linked } = init
  const all = [...linked.values(), ...init.unlinked()].filter(({ slots }) => slots > 0)
  switch (requirement) {
    case 'memory':
      return {
        requirement,
        asked: `${needs.ramMb} MB for a process`,
        offered: `at most ${Math.max(0, ...all.map(({ ramMb }) => ramMb))} MB`
      }
    case 'type':
      return {
        requirement,
        asked: needs.runtime == null ? needs.type : `${needs.type} (${needs.runtime})`,
        offered: names(
          all.flatMap(({ types = [], runtimes = [] }) =>
            needs.runtime == null ? types : [...types, ...runtimes]
          )
        )
      }
    case 'tags':
      return { requirement, asked: names(needs.tags ?? []), offered: names(all.flatMap(({ tags }) => tags)) }
    case 'price': {
      const dear = kept.filter(({ by }) => by === 'price')
      const least = dear.map(({ worker }) => linked.get(worker)?.minPriceMicro ?? 0)
      const pays = Math.max(...dear.map(({ pays = 0 }) => pays))
      return {
        requirement,
        asked: `of at most ${Math.floor(pays)} micro-credits per CPU second (raise maxPrice or priority)`,
        offered: `at least ${Math.min(...least)}`
      }
    }
  }
}

const names = (list: readonly string[]): string => [...new Set(list)].sort().join(', ') || 'none'

const inWords = ({ requirement, asked, offered }: Unmet): string =>
  `it asks for ${requirement} ${asked}, offered is ${offered}`

function refusals({ kept, refusal }: WaitingInit): string {
  const refused = kept.filter(({ by }) => by === 'refused')
  const reasons = new Set(refused.map(({ worker }) => refusal(worker) ?? 'no reason was given'))
  const told = [...reasons].slice(0, 3).map(reason => reason.slice(0, MAX_REASON_CHARS))
  return `${refused.length} refused (${told.join('; ')})`
}
