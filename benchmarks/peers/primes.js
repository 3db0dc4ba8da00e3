/** How many primes there are in [from, to], by trial division: nothing but CPU. */
export default function primes([from, to]) {
  let count = 0
  for (let n = from; n <= to; n++) count += isPrime(n)
  return count
}

export function isPrime(n) {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return 0
  return n > 1 ? 1 : 0
}
