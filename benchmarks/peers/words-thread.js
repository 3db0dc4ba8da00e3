import { parentPort } from 'node:worker_threads'

const map = text => (text.match(/[A-Za-z]+/g) ?? []).map(word => [word, 1])

parentPort.on('message', texts => {
  const counts = new Map()
  for (const text of texts)
    for (const [word, count] of map(text)) counts.set(word, (counts.get(word) ?? 0) + count)
  parentPort.postMessage(counts)
})
