/** Meters by code. The frames of 2F do not say how many bytes a value has. */
export const METERS: Readonly<Record<number, string>> = {
  0: 'coin in',
  1: 'coin out',
  2: 'jackpot',
  3: 'handpaid cancelled',
  4: 'cancelled',
  5: 'played',
  6: 'won',
  7: 'lost',
  8: 'coin acceptor',
  9: 'hopper paid',
  10: 'coins to drop',
  11: 'bills',
  12: 'current credits',
  13: 'tickets in, cashable',
  14: 'tickets in, restricted',
  15: 'tickets out, cashable',
  16: 'tickets out, restricted',
  21: 'ticket in',
  22: 'ticket out',
  23: 'electronic to machine',
  24: 'electronic to host',
  34: 'total won',
  35: 'handpaid',
  36: 'drop',
  37: 'games since power-up',
  38: 'games since door closed'
}

const CENTS_BYTES = 5
const CREDIT_BYTES = 4

/** Bytes of a meter in the answer to 2F: tickets are counted in cents. */
export const meterBytes = (code: number): number =>
  code >= 0x0d && code <= 0x10 ? CENTS_BYTES : CREDIT_BYTES

/** What a meter counts to before it begins at 0 again. */
export const meterModulus = (bytes: number): bigint => 10n ** BigInt(2 * bytes)
