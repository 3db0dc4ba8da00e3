import { connect } from 'artel/sdk'

/** The primes from `from` to `to`: runs elsewhere, so everything that it uses is in it. */
function countPrimes(from: number, to: number): number {
  const composite = new Uint8Array(to - from + 1)
  let count = 0
  for (let p = 2; p * p <= to; p++) {
    for (let n = Math.max(p * p, Math.ceil(from / p) * p); n <= to; n += p) composite[n - from] = 1
  }
  for (let n = Math.max(2, from); n <= to; n++) count += 1 - composite[n - from]!
  return count
}

const end = Number(process.argv[2] ?? 1e8)
await using artel = await connect()
const job = artel.rangeReduce({ start: 1, end, partial: countPrimes, operation: 'sum' })
job.on('progress', ({ done, total, workers }) => console.error(`${done}/${total}, ${workers} workers`))
console.log(`${await job} primes up to ${end}`)
