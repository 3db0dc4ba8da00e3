import { z } from 'zod'

const AMOUNT = /^(\d{1,8})(?:\.(\d{1,2}))?$/

/** `12.5` is 1,250 cents; undefined: it is no amount. */
export function centsOf(text: string): bigint | undefined {
  const [, whole, part = ''] = AMOUNT.exec(text) ?? []
  return whole == null ? undefined : BigInt(whole + part.padEnd(2, '0'))
}

export const textOf = (cents: bigint): string => {
  const digits = cents.toString().padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
}

/** An amount of the machine's currency as people write it, exact. */
export const amount = z
  .string()
  .max(11)
  .refine(text => (centsOf(text) ?? 0n) > 0n, 'is no amount above 0; write it as 12.50')
