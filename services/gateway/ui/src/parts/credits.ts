import type { Balance, HistoryEntry } from '../api/wire.ts'
import { toCredits } from '../format.ts'

/** What an entry changes of the credits an account holds, free or reserved. An escrow only reserves. Pure. */
export function effectOf({ type, from, to, amount }: HistoryEntry, account: string): bigint {
  if (type === 'escrow' || (from === account && to === account && type !== 'grant')) return 0n
  if (to === account) return BigInt(amount)
  return from === account && to != null ? -BigInt(amount) : 0n
}

/** Credits held after each entry, oldest first: [seconds, credits]. From the balance now, backwards. Pure. */
export function heldOverTime(
  entries: readonly HistoryEntry[],
  balance: Balance,
  now: number
): [number[], number[]] {
  let held = BigInt(balance.available) + BigInt(balance.reserved)
  const points: [number, number][] = [[now / 1000, toCredits(held)]]
  for (const entry of entries.toSorted((a, b) => b.time - a.time)) {
    points.push([entry.time / 1000, toCredits(held)])
    held -= effectOf(entry, balance.account)
  }
  points.reverse()
  return [points.map(([time]) => time), points.map(([, credits]) => credits)]
}

/** Credits as a person writes them → micro-credits; undefined when they are none. */
export function microOf(text: string): string | undefined {
  const [, whole, fraction = ''] = /^\s*(\d{1,20})(?:[.,](\d{1,6}))?\s*$/.exec(text) ?? []
  if (whole == null) return undefined
  const micro = BigInt(whole + fraction.padEnd(6, '0'))
  return micro > 0n ? micro.toString() : undefined
}
