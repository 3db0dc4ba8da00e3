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

const DECIMAL = /^(\d{1,12})(?:\.(\d{1,6}))?$/
const DECIMALS = 6

function microOf(text: string): bigint {
  const [, whole, part = ''] = DECIMAL.exec(text) ?? []
  if (whole == null) throw new RangeError(`"${text}" is no amount; write it as 12.50`)
  return BigInt(whole + part.padEnd(DECIMALS, '0'))
}

/**
 * What a value is in a machine's currency, of which one costs `rate`: exact, rounded down to hundredths; `left` of the value
 * remains. Pure.
 *
 * @throws {RangeError} no number, a rate of 0, or less than a hundredth
 */
export function exchanged(value: string, rate: string): { amount: string; left: string } {
  const [from, to] = [microOf(value), microOf(rate)]
  if (to === 0n) throw new RangeError('a rate of 0 exchanges nothing')
  const cents = (100n * from) / to
  if (cents === 0n) throw new RangeError(`${value} at ${rate} is less than a hundredth`)
  // in hundredths of a millionth
  const left = 100n * from - cents * to
  const digits = left.toString().padStart(DECIMALS + 3, '0')
  const text = `${digits.slice(0, -DECIMALS - 2)}.${digits.slice(-DECIMALS - 2)}`
  return { amount: textOf(cents), left: text.replace(/\.?0+$/, '') || '0' }
}

/** An amount of the machine's currency as people write it, exact. */
export const amount = z
  .string()
  .max(11)
  .refine(text => (centsOf(text) ?? 0n) > 0n, 'is no amount above 0; write it as 12.50')
