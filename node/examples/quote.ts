import { ArtelError, connect, type TaskSpec } from 'artel/sdk'

/** Monte Carlo: Math.random is seeded per block, so every worker draws the same numbers for the same block. */
const spec: TaskSpec = {
  type: 'range_reduce',
  start: 1,
  end: 1e6,
  map: () => (Math.hypot(Math.random(), Math.random()) < 1 ? 4 : 0),
  operation: 'average',
  verify: { confidence: 0.999 },
  maxPrice: 0.5
}
await using artel = await connect()
const { expected, bound, basis } = await artel.quote(spec)
console.log(`about ${Number(expected) / 1e6} credits, at most ${Number(bound) / 1e6} (${basis})`)
try {
  console.log(`pi is about ${await artel.submit(spec, { signal: AbortSignal.timeout(60_000) })}`)
} catch (error) {
  if (error instanceof ArtelError && error.name === 'InsufficientCreditsError') console.error('too dear')
  else throw error
}
