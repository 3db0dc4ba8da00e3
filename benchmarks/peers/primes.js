/** 1 for a prime, by trial division: nothing but CPU. */
export function unit(n) {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return 0
  return n > 1 ? 1 : 0
}

export default function primes([from, to]) {
  let count = 0
  for (let n = from; n <= to; n++) count += unit(n)
  return count
}
