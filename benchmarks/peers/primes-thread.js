import { parentPort, workerData } from 'node:worker_threads'
import primes from './primes.js'

// Plain threads: the next part is taken from a shared counter, so neither thread waits for the other.
const { next, size, end } = workerData
let count = 0
for (;;) {
  const from = Atomics.add(next, 0, 1) * size + 1
  if (from > end) break
  count += primes([from, Math.min(from + size - 1, end)])
}
parentPort.postMessage(count)
