/*
 * What to do next so that n other nodes hold a copy. Pure: the clock, what is known of the holders and who else might
 * hold one come in, steps come out; `replicate.ts` takes them.
 *
 *   asked ──accepted──▶ copying ──all blocks──▶ held ──right proof──▶ held and proved (a replica)
 *     └─refused─▶ left out for a while    asked and silent for longer than the grace, or a wrong proof: replaced
 */

export type HolderState = 'asked' | 'copying' | 'held'

export interface Holder {
  peer: string
  state: HolderState
  /** ms since 1970: the last time that it answered, and that its copy grew */
  seenAt: number
  grownAt: number
  /** the first time that it did not answer since then; it is not its fault when nobody asked */
  silentSince?: number
  /** bytes that it has, as it says */
  bytes: number
  /** the last right proof; undefined before the first */
  provedAt?: number
}

export interface Pin {
  /** copies on other nodes */
  wanted: number
  holders: readonly Holder[]
  /** peer → until when it is not asked; one that was released is the last to be asked again (`until` is in the past) */
  leftOut: ReadonlyMap<string, number>
}

export interface Policy {
  /** a holder that says nothing for this long is replaced */
  graceMs: number
  /** between two proofs of one holder */
  checkMs: number
  /** between two questions to one that copies */
  pollMs: number
  /** a copy that does not grow for this long is given up */
  stallMs: number
}

export type Step =
  /** Will it hold a copy? */
  | { do: 'ask'; peer: string }
  /** How far is its copy? */
  | { do: 'poll'; peer: string }
  /** Does it have what it says? */
  | { do: 'prove'; peer: string }
  /** It need not hold it any more. */
  | { do: 'release'; peer: string; why: 'silent' | 'stalled' | 'surplus' }

// Who refused may have room later; who lied is not asked again for as long as anybody remembers it.
export const REFUSED_MS = 10 * 60_000
export const LIED_MS = 7 * 24 * 3_600_000

/** Between two proofs it is only asked whether it is still there. */
const POLLS_PER_GRACE = 4

export const isReplica = ({ state, provedAt }: Holder): boolean => state === 'held' && provedAt != null

/** `candidates`: peers that offer to hold files, the best first. */
export function nextSteps(pin: Pin, candidates: readonly string[], now: number, policy: Policy): Step[] {
  const steps: Step[] = []
  const staying: Holder[] = []
  for (const holder of pin.holders) {
    const why = lossOf(holder, now, policy)
    if (why == null) staying.push(holder)
    else steps.push({ do: 'release', peer: holder.peer, why })
  }
  // whoever is surest stays: replicas before copies under way, older before newer
  staying.sort((a, b) => rank(a) - rank(b))
  for (const { peer } of staying.splice(pin.wanted)) steps.push({ do: 'release', peer, why: 'surplus' })
  for (const holder of staying) {
    const { peer, state, seenAt, provedAt } = holder
    if (state === 'asked') steps.push({ do: 'ask', peer })
    else if (state === 'copying' && now - seenAt >= policy.pollMs) steps.push({ do: 'poll', peer })
    else if (state === 'held' && (provedAt == null || now - provedAt >= policy.checkMs))
      steps.push({ do: 'prove', peer })
    else if (now - seenAt >= policy.graceMs / POLLS_PER_GRACE) steps.push({ do: 'poll', peer })
  }
  let missing = pin.wanted - staying.length
  const known = new Set(pin.holders.map(({ peer }) => peer))
  const until = (peer: string): number => pin.leftOut.get(peer) ?? 0
  for (const peer of candidates.toSorted((a, b) => until(a) - until(b))) {
    if (missing <= 0 || until(peer) > now) break
    if (known.has(peer)) continue
    known.add(peer)
    steps.push({ do: 'ask', peer })
    missing--
  }
  return steps
}

function lossOf(holder: Holder, now: number, policy: Policy): 'silent' | 'stalled' | undefined {
  if (holder.silentSince != null && now - holder.silentSince > policy.graceMs) return 'silent'
  if (holder.state !== 'held' && now - holder.grownAt > policy.stallMs) return 'stalled'
  return undefined
}

const rank = (holder: Holder): number => (isReplica(holder) ? 0 : holder.state === 'held' ? 1 : 2)

/** What a holder said, or that it said nothing. */
export type Answer =
  | { is: 'copying' | 'held'; bytes: number }
  | { is: 'refused' }
  | { is: 'proved' }
  | { is: 'lied' }
  | { is: 'silent' }

/** The holder after its answer, or for how long it is left out. A silent one that holds something has its grace. */
export function afterAnswer(holder: Holder, answer: Answer, now: number): Holder | { leftOutMs: number } {
  switch (answer.is) {
    case 'silent':
      if (holder.state === 'asked') return { leftOutMs: 0 }
      return { ...holder, silentSince: holder.silentSince ?? now }
    case 'refused':
      return { leftOutMs: REFUSED_MS }
    case 'lied':
      return { leftOutMs: LIED_MS }
    case 'proved':
      return { ...holder, seenAt: now, silentSince: undefined, provedAt: now }
    case 'held':
    case 'copying': {
      const hasGrown = answer.bytes > holder.bytes || answer.is !== holder.state
      // a copy that is begun anew proves nothing any more
      const provedAt = answer.is === 'held' ? holder.provedAt : undefined
      return {
        ...holder,
        state: answer.is,
        bytes: answer.bytes,
        seenAt: now,
        silentSince: undefined,
        grownAt: hasGrown ? now : holder.grownAt,
        provedAt
      }
    }
  }
}

export function newHolder(peer: string, now: number): Holder {
  return { peer, state: 'asked', seenAt: now, grownAt: now, bytes: 0 }
}
