import { createCoordinator } from '../../scheduler/coordinator.ts'
import { createRandom, type Random } from './random.ts'

/**
 * The table "Must hold" of verification.md: the node's own coordinator against workers of a seeded behaviour, on a
 * virtual clock. A slice is one unit, so `wrong` and `cost` are shares of slices.
 */

interface Model {
  name: string
  epsilon: number
  /** most executions per slice; undefined = shown, not asked for */
  mostCost?: number
  /** gives each worker its behaviour */
  worker(index: number, random: Random): Behaviour
  /** workers that are left out come back under a new name */
  churn?: boolean
}

/** The answer to a slice: 'right', or a digest of something else. `served`: slices answered so far. */
type Behaviour = {
  answer(slice: number, served: number, random: Random): string
  group?: string
  bad?: boolean
}

const WORKERS = 40
const SLICES = 20_000
// One error in 2,000 results, as in volunteer fleets (500 in a million).
const HARDWARE_ERROR_RATE = 500e-6
const SLICE_MS = 200

const honest: Behaviour = {
  answer: (_slice, _served, random) => (random() < HARDWARE_ERROR_RATE ? `broken ${random()}` : 'right')
}

/** The first `share` of the workers behave as `bad`, the others are honest. */
const mixed =
  (share: number, bad: Behaviour) =>
  (index: number): Behaviour =>
    index < WORKERS * share ? { ...bad, bad: true } : honest

export const MODELS: Model[] = [
  { name: 'all honest, 500 ppm hardware errors', epsilon: 0.01, mostCost: 1.1, worker: () => honest },
  {
    name: '10 % cheat on 10 %',
    epsilon: 0.01,
    mostCost: 1.15,
    worker: mixed(0.1, { answer: (_s, _n, random) => (random() < 0.1 ? `cheat ${random()}` : 'right') })
  },
  {
    name: '20 % collude',
    epsilon: 0.01,
    mostCost: 3,
    worker: mixed(0.2, { answer: slice => `lie ${slice}` })
  },
  {
    name: '35 % collude',
    epsilon: 0.001,
    mostCost: 4.5,
    worker: mixed(0.35, { answer: slice => `lie ${slice}` })
  },
  {
    name: '20 % sleep for 300 slices, then cheat',
    epsilon: 0.01,
    worker: mixed(0.2, { answer: (slice, served) => (served < 300 ? 'right' : `lie ${slice}`) })
  },
  {
    name: '20 % collude on 5 % of slices',
    epsilon: 0.01,
    worker: mixed(0.2, { answer: slice => (slice % 20 === 0 ? `lie ${slice}` : 'right') })
  },
  {
    name: '20 % cheat, return under new names',
    epsilon: 0.01,
    churn: true,
    worker: mixed(0.2, { answer: slice => `lie ${slice}` })
  },
  {
    name: '30 % are one operator, who lies',
    epsilon: 0.01,
    worker: mixed(0.3, { answer: slice => `lie ${slice}`, group: 'operator' })
  }
]

export interface Outcome {
  name: string
  epsilon: number
  mostCost?: number
  /** share of accepted slices that are wrong */
  wrong: number
  /** executions per slice */
  cost: number
  finished: boolean
}

/** Runs one model to its end. The same seed gives the same outcome. */
export function simulate(model: Model, seed: number, slices = SLICES): Outcome {
  const random = createRandom(seed)
  const accepted = new Map<number, string>()
  const events: { at: number; run: () => void }[] = []
  const behaviours = new Map<string, Behaviour>()
  const served = new Map<string, number>()
  const live = new Map<number, { first: number }>()
  let executions = 0
  let now = 0
  let finished = false
  let names = 0

  const later = (ms: number, run: () => void): void => {
    const event = { at: now + ms, run }
    let at = events.length
    while (at > 0 && events[at - 1]!.at < event.at) at--
    events.splice(at, 0, event)
  }

  const coordinator = createCoordinator(
    {
      lease({ worker, slice, first }) {
        executions++
        live.set(slice, { first })
        const behaviour = behaviours.get(worker)!
        const count = served.get(worker) ?? 0
        served.set(worker, count + 1)
        later(SLICE_MS * (0.8 + 0.4 * random()), () => {
          const digest = behaviour.answer(first, count, random)
          coordinator.answer(worker, [{ slice, answer: { digest, payload: digest, ms: SLICE_MS } }], now)
        })
      },
      revoke() {},
      accept({ first, payload }) {
        accepted.set(first, payload as string)
        return 'stored'
      },
      retract: ({ first }) => void accepted.delete(first),
      trust() {},
      evidence({ wrong }) {
        if (!model.churn) return
        for (const { worker } of wrong) {
          const behaviour = behaviours.get(worker)!
          if (!behaviour?.bad) continue
          later(0, () => {
            coordinator.gone(worker, now)
            behaviours.delete(worker)
            join(behaviour)
          })
        }
      },
      end: () => {
        finished = true
      }
    },
    { random }
  )
  const join = (behaviour: Behaviour): void => {
    const name = `w${names++}`
    behaviours.set(name, behaviour)
    coordinator.offer(name, { slots: 1, window: 64, class: 'v8', group: behaviour.group }, now)
  }
  behaviours.set('own', { answer: () => 'right' })
  coordinator.offer('own', { slots: 1, window: 64, class: 'v8', own: true, lastResort: true }, now)
  for (let index = 0; index < WORKERS; index++) join(model.worker(index, random))
  coordinator.submit(
    {
      id: 'job',
      program: 'program',
      kind: 'map',
      units: slices,
      mostUnits: 1,
      priority: 'normal',
      retries: 3,
      timeoutMs: 30_000,
      verification: { confidence: 1 - model.epsilon },
      bound: 10n ** 12n
    },
    now
  )
  let tick = 0
  while (!finished && events.length > 0) {
    const event = events.pop()!
    now = event.at
    event.run()
    if (now - tick < 250) continue
    tick = now
    for (const id of behaviours.keys()) coordinator.seen(id, now)
    coordinator.tick(now)
  }
  const wrong = [...accepted.values()].filter(digest => digest !== 'right').length
  const { name, epsilon, mostCost } = model
  return { name, epsilon, mostCost, wrong: wrong / slices, cost: executions / slices, finished }
}

/** `npm run simulate -- verification [--seeds N]` */
export async function run({ seeds = 3, seed = 1 }: { seeds?: number; seed?: number } = {}): Promise<boolean> {
  let ok = true
  console.log('| workers | wrong accepted | at most | cost | at most | |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const model of MODELS) {
    const outcomes = Array.from({ length: seeds }, (_, i) => simulate(model, seed + i))
    const wrong = Math.max(...outcomes.map(outcome => outcome.wrong))
    const cost = Math.max(...outcomes.map(outcome => outcome.cost))
    const holds =
      outcomes.every(outcome => outcome.finished) &&
      wrong <= model.epsilon &&
      cost <= (model.mostCost ?? Number.POSITIVE_INFINITY)
    ok &&= holds
    const percent = (share: number): string => `${(share * 100).toFixed(3)} %`
    console.log(
      `| ${model.name} | ${percent(wrong)} | ${percent(model.epsilon)} | ${cost.toFixed(3)} | ${model.mostCost ?? '–'} | ${holds ? 'holds' : 'FAILS'} |`
    )
  }
  return ok
}
