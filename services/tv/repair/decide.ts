const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** a TV needs so long to show whether a step has helped */
export const PAUSE_MS = 5 * MINUTE_MS
const ROUNDS_A_DAY = 3

/** down: it does not answer; idle: it should show something, and does not. */
export type Ailment = 'down' | 'idle'
export type Step = 'player' | 'reboot' | 'relay'

export interface Done {
  /** ms since 1970 */
  at: number
  step: Step
}

/** What can be done about it, the gentlest first. The connection is made anew all the while, see `adb/link.ts`. */
const stepsFor = (ailment: Ailment, hasRelay: boolean): Step[] => [
  // who does not answer hears nothing but the relay
  ...(ailment === 'idle' ? (['player', 'reboot'] as const) : []),
  ...(hasRelay ? (['relay'] as const) : [])
]

/**
 * The next step for a TV that is not well: one in five minutes, three rounds a day, never two TVs of a platform
 * together. Pure.
 *
 * @returns undefined: not now; help: nothing is left that a node can do
 */
export function nextStep({
  ailment,
  hasRelay,
  done,
  besideAt,
  now
}: {
  ailment: Ailment
  hasRelay: boolean
  /** with this TV, the oldest first */
  done: readonly Done[]
  /** of the newest step with another TV of its platform */
  besideAt: number | undefined
  now: number
}): Step | 'help' | undefined {
  const steps = stepsFor(ailment, hasRelay)
  const today = done.filter(({ at }) => at > now - DAY_MS)
  const first = steps[0]
  if (first == null) return 'help'
  const last = today.at(-1)
  const next = steps[last == null ? 0 : steps.indexOf(last.step) + 1] ?? first
  const rounds = today.filter(({ step }) => step === first).length
  if (next === first && rounds >= ROUNDS_A_DAY) return 'help'
  if (last != null && now - last.at < PAUSE_MS) return undefined
  if (besideAt != null && now - besideAt < PAUSE_MS) return undefined
  return next
}
