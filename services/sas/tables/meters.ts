/** Meters that are accounted for, by code, in one poll. */
export const METERS: Readonly<Record<number, string>> = {
  0: 'coinIn',
  1: 'coinOut',
  2: 'jackpot',
  3: 'handpaidCancelled',
  4: 'cancelled',
  5: 'played',
  6: 'won',
  7: 'lost',
  11: 'bills',
  36: 'drop'
}

const CENTS_BYTES = 5
const CREDIT_BYTES = 4

/** Bytes of a meter in the answer to 2F, which does not say it: tickets are counted in cents. */
export const meterBytes = (code: number): number =>
  code >= 0x0d && code <= 0x10 ? CENTS_BYTES : CREDIT_BYTES

/** What a meter counts to before it begins at 0 again. */
export const meterModulus = (bytes: number): bigint => 10n ** BigInt(2 * bytes)
