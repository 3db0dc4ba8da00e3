import { strict as assert } from 'node:assert'
import type { Effects } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import { createRandom } from './random.ts'

const HOME = 'home'
const MESSAGE_BYTES = 4 * 1024 * 1024
const TICK_MS = 250
/** What the network may cost: the time after which an answer counts as late. */
const MOST_SHARE = 1.05
const MOST_MS = 30
/** A tenth of the workers never answers, and what one holds while all else is done is seen late now and then. */
const MOST_LATE = 0.01

interface Machine {
  id: string
  slots: number
  /** of one unit */
  unitMs: number
  /** one way; bytes travel one after the other */
  latencyMs: number
  bytesPerMs: number
  /** takes slices and never answers */
  hangs?: boolean
}

interface Job {
  units: number
  unitBytes: number
  resultBytes: number
}

type Lease = Parameters<Effects['lease']>[0]

/** ms to the end of a job on these machines, on a virtual clock. */
function play(machines: Machine[], job: Job): number {
  let now = 0
  let end: number | undefined
  const events: { at: number; run: () => void }[] = []
  const later = (at: number, run: () => void): void => {
    const place = events.findIndex(event => event.at > at)
    events.splice(place < 0 ? events.length : place, 0, { at, run })
  }
  const state = new Map(
    machines.map(machine => [machine.id, { machine, queue: [] as Lease[], busy: 0, into: 0, out: 0 }])
  )
  /** called back before they came; what has begun goes on */
  const revoked = new Set<Lease>()
  const given = new Map<string, Lease>()

  /** When these bytes have come over a link that is busy until `until`. */
  const travel = ({ id, latencyMs, bytesPerMs }: Machine, until: number, bytes: number): number =>
    id === HOME ? now : Math.max(now, until) + bytes / bytesPerMs + latencyMs

  function work(id: string): void {
    const worker = state.get(id)!
    const { machine, queue } = worker
    while (worker.busy < machine.slots && queue.length > 0) {
      const lease = queue.shift()!
      if (revoked.has(lease)) continue
      worker.busy++
      if (machine.hangs) continue
      const ms = machine.unitMs * lease.count
      later(now + ms, () => {
        worker.busy--
        const bytes = job.resultBytes * lease.count
        const there = travel(machine, worker.out, bytes)
        worker.out = there - machine.latencyMs
        later(there, () =>
          coordinator.answer(
            id,
            [{ slice: lease.slice, answer: { digest: 'right', payload: id, bytes, ms } }],
            Math.round(now)
          )
        )
        work(id)
      })
    }
  }

  const coordinator = createCoordinator(
    {
      lease(lease) {
        const worker = state.get(lease.worker)!
        given.set(`${lease.worker} ${lease.slice}`, lease)
        const there = travel(worker.machine, worker.into, job.unitBytes * lease.count)
        worker.into = there - worker.machine.latencyMs
        later(there, () => {
          worker.queue.push(lease)
          work(lease.worker)
        })
      },
      revoke: ({ worker, slice }) => void revoked.add(given.get(`${worker} ${slice}`)!),
      accept: () => 'stored',
      pay() {},
      retract() {},
      trust() {},
      evidence() {},
      wake: inMs => later(now + inMs, () => coordinator.tick(Math.round(now))),
      end: () => {
        end = now
      }
    },
    { random: () => 0.5 }
  )
  for (const { id, slots } of machines) coordinator.offer(id, { slots, window: 64, own: id === HOME }, 0)
  coordinator.submit(
    {
      id: 'job',
      program: 'program',
      kind: 'map',
      units: job.units,
      mostUnits: Math.max(1, Math.floor(MESSAGE_BYTES / job.unitBytes)),
      unitBytes: job.unitBytes,
      priority: 'normal',
      retries: 3,
      timeoutMs: 1e9,
      verification: 'none',
      bound: 1_000_000n
    },
    0
  )
  const tick = (): void => {
    for (const id of state.keys()) coordinator.seen(id, Math.round(now))
    coordinator.tick(Math.round(now))
    later(now + TICK_MS, tick)
  }
  later(TICK_MS, tick)
  while (end == null) {
    const event = events.shift()!
    now = Math.max(now, event.at)
    assert.ok(now < 1e9, 'the job does not end')
    event.run()
  }
  return end
}

/** A machine, a network and a job of any size: powers of ten, drawn evenly. */
function scene(seed: number) {
  const random = createRandom(seed)
  const between = (low: number, high: number): number => low * (high / low) ** random()
  const home: Machine = {
    id: HOME,
    slots: 1 + Math.floor(random() * 4),
    unitMs: between(0.01, 100),
    latencyMs: 0,
    bytesPerMs: 1
  }
  const others = Array.from(
    { length: 1 + Math.floor(random() * 6) },
    (_, i): Machine => ({
      id: `worker${i}`,
      slots: 1 + Math.floor(random() * 4),
      unitMs: home.unitMs * between(0.2, 10),
      latencyMs: between(0.1, 50),
      bytesPerMs: between(100, 200_000),
      hangs: random() < 0.1
    })
  )
  const job: Job = {
    units: Math.ceil(between(1, 2000)),
    unitBytes: between(10, 1_000_000),
    resultBytes: between(10, 100_000)
  }
  return { home, others, job }
}

/**
 * One job of a node that lends its own time, alone and with a network of workers that are faster, slower, far away or
 * never answer: ms to its end in both. `isLate`: by more than it takes to see that somebody is late.
 */
export function simulate(seed: number): { alone: number; together: number; isLate: boolean } {
  const { home, others, job } = scene(seed)
  const alone = play([home], job)
  const together = play([home, ...others], job)
  return { alone, together, isLate: together > alone * MOST_SHARE + MOST_MS }
}

/** `npm run simulate -- stay-home [--seeds N] [--seed S]` */
export async function run({
  seeds = 1000,
  seed = 1
}: {
  seeds?: number
  seed?: number
} = {}): Promise<boolean> {
  const all = Array.from({ length: seeds }, (_, i) => simulate(seed + i))
  const sum = (key: 'alone' | 'together'): number => all.reduce((total, each) => total + each[key], 0)
  const late = all.filter(({ isLate }) => isLate)
  const worst = Math.max(...all.map(({ alone, together }) => together / (alone + MOST_MS)))
  console.log(
    `${seeds} seeds from ${seed}: ${Math.round(sum('alone') / 1000)} s alone, ${Math.round(sum('together') / 1000)} s with a network; ` +
      `${late.length} are late, the worst takes ${worst.toFixed(2)} times what it takes alone and ${MOST_MS} ms`
  )
  return late.length <= seeds * MOST_LATE
}
