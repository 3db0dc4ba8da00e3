import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import { createRandom, type Random } from './random.ts'

/**
 * What verification promises: the node's own coordinator against workers of a seeded behaviour, on a
 * virtual clock. Every model runs twice: slices of one item, which can only be compared whole, and slices of 100
 * items, of which some can be audited.
 */

interface Model {
  name: string
  epsilon: number
  /** most executions per item; undefined = shown, not asked for */
  mostCost?: number
  /** gives each worker its behaviour */
  worker(index: number, random: Random): Behaviour
  /** workers that are left out come back under a new name */
  churn?: boolean
  /** It makes a difference only within slices of many items. */
  itemsOnly?: boolean
}

/** `served`: slices answered so far. */
type Behaviour = {
  /** 'right', or what it says in place of the result */
  answer(slice: number, served: number, random: Random): string
  /** the share of a slice's items that is wrong then, at least one; default all */
  share?: number
  group?: string
  bad?: boolean
}

const WORKERS = 40
const SLICES = 20_000
const ITEMS = 100
// One error in 2,000 results, as in volunteer fleets (500 in a million).
const HARDWARE_ERROR_RATE = 500e-6
const SLICE_MS = 200

const honest: Behaviour = {
  answer: (_slice, _served, random) => (random() < HARDWARE_ERROR_RATE ? `broken ${random()}` : 'right'),
  share: 0
}

/** The first `share` of the workers behave as `bad`, the others are honest. */
const mixed =
  (share: number, bad: Behaviour) =>
  (index: number): Behaviour =>
    index < WORKERS * share ? { ...bad, bad: true } : honest

const lie = (slice: number): string => `lie ${slice}`

export const MODELS: Model[] = [
  { name: 'all honest, 500 ppm hardware errors', epsilon: 0.01, mostCost: 1.1, worker: () => honest },
  {
    name: '10 % cheat on 10 %',
    epsilon: 0.01,
    mostCost: 1.15,
    worker: mixed(0.1, { answer: (_s, _n, random) => (random() < 0.1 ? `cheat ${random()}` : 'right') })
  },
  { name: '20 % collude', epsilon: 0.01, mostCost: 3, worker: mixed(0.2, { answer: lie }) },
  { name: '35 % collude', epsilon: 0.001, mostCost: 4.5, worker: mixed(0.35, { answer: lie }) },
  {
    name: '20 % sleep for 300 slices, then cheat',
    epsilon: 0.01,
    worker: mixed(0.2, { answer: (slice, served) => (served < 300 ? 'right' : lie(slice)) })
  },
  {
    name: '20 % collude on 5 % of slices',
    epsilon: 0.01,
    worker: mixed(0.2, { answer: slice => (slice % 20 === 0 ? lie(slice) : 'right') })
  },
  {
    name: '20 % copy whoever answered before',
    epsilon: 0.01,
    // without a look at others' answers, which travel to the requester alone, a copier can only guess
    worker: mixed(0.2, { answer: (_s, _n, random) => `guess ${random()}` })
  },
  {
    name: '20 % cheat, return under new names',
    epsilon: 0.01,
    churn: true,
    worker: mixed(0.2, { answer: lie })
  },
  {
    name: '30 % are one operator, who lies',
    epsilon: 0.01,
    worker: mixed(0.3, { answer: lie, group: 'operator' })
  },
  {
    name: '20 % cheat on half of the items',
    epsilon: 0.01,
    itemsOnly: true,
    worker: mixed(0.2, { answer: lie, share: 0.5 })
  },
  {
    name: '20 % cheat on 1 item in 10',
    epsilon: 0.01,
    itemsOnly: true,
    worker: mixed(0.2, { answer: lie, share: 0.1 })
  },
  {
    name: '20 % sleep, then cheat on one item per slice',
    epsilon: 0.01,
    itemsOnly: true,
    worker: mixed(0.2, { answer: (slice, served) => (served < 100 ? 'right' : lie(slice)), share: 0 })
  }
]

export interface Outcome {
  /** share of accepted items that are wrong */
  wrong: number
  /** calculations per item, replicas, audits and canaries included */
  cost: number
  /** of them by this node itself */
  own: number
  finished: boolean
}

interface Given {
  /** the wrong ones of its items */
  wrong: ReadonlySet<number>
  digest: string
}

/** Runs one model to its end. The same seed gives the same outcome. `items`: of a full slice. */
export function simulate(model: Model, seed: number, items: number, slices = SLICES): Outcome {
  const random = createRandom(seed)
  const units = slices * items
  const accepted = new Map<number, number>()
  const events: { at: number; run: () => void }[] = []
  const behaviours = new Map<string, Behaviour>()
  const served = new Map<string, number>()
  let calculated = 0
  let own = 0
  let now = 0
  let ended: string | undefined
  let names = 0

  const later = (ms: number, run: () => void): void => {
    const event = { at: now + ms, run }
    let at = events.length
    while (at > 0 && events[at - 1]!.at < event.at) at--
    events.splice(at, 0, event)
  }

  /** What a worker gives for items [first, first + count). */
  function give({ answer, share = 1 }: Behaviour, first: number, count: number, nth: number): Given {
    const said = answer(Math.floor(first / items), nth, random)
    if (said === 'right') return { wrong: new Set(), digest: said }
    const wrong = new Set<number>()
    for (let i = 0; i < count; i++) if (share === 1 || random() < share) wrong.add(first + i)
    if (wrong.size === 0) wrong.add(first + Math.floor(random() * count))
    // who colludes gives the same wrong items; who lies about some of them gives others each time
    return { wrong, digest: share === 1 ? said : `${said} ${[...wrong]}` }
  }

  const coordinator = createCoordinator(
    {
      lease({ worker, slice, first, count }) {
        calculated += count
        if (worker === 'own') own += count
        const behaviour = behaviours.get(worker)!
        const nth = served.get(worker) ?? 0
        served.set(worker, nth + 1)
        const ms = (SLICE_MS / items) * count
        later(ms * (0.8 + 0.4 * random()), () => {
          const { wrong, digest } = give(behaviour, first, count, nth)
          const part = (unit: number): string => (wrong.has(unit) ? `${digest} at ${unit}` : 'right')
          coordinator.answer(worker, [{ slice, answer: { digest, payload: wrong.size, ms, part } }], now)
        })
      },
      revoke() {},
      accept({ first, payload }) {
        accepted.set(first, payload as number)
        return 'stored'
      },
      pay() {},
      retract: ({ first }) => void accepted.delete(first),
      wake() {},
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
      end: ({ state }) => {
        ended = state
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
      auditable: items > 1,
      units,
      mostUnits: items,
      priority: 'normal',
      retries: 3,
      timeoutMs: 30_000,
      verification: { confidence: 1 - model.epsilon },
      bound: 10n ** 12n
    },
    now
  )
  let tick = 0
  while (ended == null && events.length > 0) {
    const event = events.pop()!
    now = event.at
    event.run()
    if (now - tick < 250) continue
    tick = now
    for (const id of behaviours.keys()) coordinator.seen(id, now)
    coordinator.tick(now)
  }
  const wrong = [...accepted.values()].reduce((sum, each) => sum + each, 0)
  return { wrong: wrong / units, cost: calculated / units, own: own / units, finished: ended === 'completed' }
}

/** Whether an outcome is within the bounds of its model. */
export const holds = ({ epsilon, mostCost = Number.POSITIVE_INFINITY }: Model, outcome: Outcome): boolean =>
  outcome.finished && outcome.wrong <= epsilon && outcome.cost <= mostCost

/** The worst of several seeds. */
function worst(model: Model, items: number, seeds: number, seed: number): Outcome {
  const outcomes = Array.from({ length: seeds }, (_, i) => simulate(model, seed + i, items))
  const most = (of: (outcome: Outcome) => number): number => Math.max(...outcomes.map(of))
  return {
    wrong: most(outcome => outcome.wrong),
    cost: most(outcome => outcome.cost),
    own: most(outcome => outcome.own),
    finished: outcomes.every(outcome => outcome.finished)
  }
}

/** `npm run simulate -- verification [--seeds N]` */
export async function run({ seeds = 3, seed = 1 }: { seeds?: number; seed?: number } = {}): Promise<boolean> {
  let ok = true
  const percent = (share: number): string => `${(share * 100).toFixed(3)} %`
  const cells = (outcome?: Outcome): string =>
    outcome == null
      ? '– | – | –'
      : `${percent(outcome.wrong)} | ${outcome.cost.toFixed(3)} | ${percent(outcome.own)}`
  console.log(
    '| workers | wrong, at most | cost, at most | wrong | cost | own | wrong, audited | cost, audited | own, audited | |'
  )
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')
  for (const model of MODELS) {
    const whole = model.itemsOnly ? undefined : worst(model, 1, seeds, seed)
    const audited = worst(model, ITEMS, seeds, seed)
    const isWithin = [whole, audited].every(outcome => outcome == null || holds(model, outcome))
    ok &&= isWithin
    console.log(
      `| ${model.name} | ${percent(model.epsilon)} | ${model.mostCost ?? '–'} | ${cells(whole)} | ${cells(audited)} | ${isWithin ? 'holds' : 'FAILS'} |`
    )
  }
  return ok
}
