import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { connect } from 'artel/sdk'

declare const stop: string[] // comes in `context`

const countWords = (line: string): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const word of line.toLowerCase().match(/\p{L}+/gu) ?? []) {
    if (!stop.includes(word)) counts[word] = (counts[word] ?? 0) + 1
  }
  return counts
}

const total = new Map<string, number>()
await using artel = await connect()
// A file of any size: lines are read no faster than they are counted.
const lines = createInterface({ input: createReadStream(process.argv[2] ?? 'README.md') })
for await (const page of artel.map(lines, countWords, {
  context: { stop: ['the', 'a', 'and', 'of', 'to'] }
})) {
  for (const counts of page) {
    for (const [word, count] of Object.entries(counts)) total.set(word, (total.get(word) ?? 0) + count)
  }
}
const most = [...total].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, 10)
for (const [word, count] of most) console.log(`${count} ${word}`)
