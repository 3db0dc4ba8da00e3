import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'

/** A job as the specs of the store write it. */
export const spec = parseSpec({
  type: 'map',
  items: [1, 2, 3],
  fn: 'x => x * 2',
  context: { a: 1n, b: new Uint8Array(3) }
})
export const job = { id: 'job', type: 'map', submitted: 1000, bound: 9_000_000_000_000n } as const
export const slice = (first: number, worker = 'w', price = 5n) => ({
  part: 0,
  first,
  count: 1,
  slice: first,
  works: [],
  assurance: { answers: 1, audited: 0, credibility: 0.99 },
  value: Uint8Array.of(first),
  paid: [{ worker, price }]
})

export const ended = {
  done: 2,
  total: 3,
  retries: 1,
  shares: [{ worker: 'w', slices: 2, units: 2, paid: 2n ** 60n }],
  verification: { replicas: 1.5, compared: 1, audited: 2, canaries: 0, confidence: 0.995 }
}
