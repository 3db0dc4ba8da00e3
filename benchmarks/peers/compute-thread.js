import { parentPort, workerData } from 'node:worker_threads'

// Plain threads: the next part is taken from a shared counter, so neither thread waits for the other.
const { file, next, parts } = workerData
const { default: work } = await import(file)
let sum = 0
for (;;) {
  const part = parts[Atomics.add(next, 0, 1)]
  if (part == null) break
  sum += work(part)
}
parentPort.postMessage(sum)
