/** How an answer is laid out; what is read of it is in frames.ts. */
export type Layout =
  /** so many decimal values of so many bytes each, with a name for each */
  | { is: 'values'; names: readonly string[]; bytes: number }
  /** a byte says how many follow */
  | { is: 'counted' }
  | { is: 'fixed'; bytes: number }

const GAMING = ['coinIn', 'coinOut', 'drop', 'jackpot', 'games'] as const
const one = (name: string): Layout => ({ is: 'values', names: [name], bytes: 4 })

/** Long polls without data. What is not here is not asked. */
export const READS: Readonly<Record<number, Layout>> = {
  15: { is: 'values', names: ['cancelled', ...GAMING], bytes: 4 },
  16: one('cancelled'),
  17: one('coinIn'),
  18: one('coinOut'),
  19: one('drop'),
  20: one('jackpot'),
  21: one('games'),
  22: one('won'),
  23: one('lost'),
  24: { is: 'values', names: ['gamesSincePowerUp', 'gamesSinceDoorClosed'], bytes: 2 },
  25: { is: 'values', names: GAMING, bytes: 4 },
  26: one('credits'),
  28: {
    is: 'values',
    names: [...GAMING, 'gamesWon', 'doorOpenings', 'powerResets'],
    bytes: 4
  },
  30: { is: 'values', names: ['bills1', 'bills5', 'bills10', 'bills20', 'bills50', 'bills100'], bytes: 4 },
  31: { is: 'fixed', bytes: 20 },
  32: one('billDollars'),
  70: one('billCredits'),
  81: { is: 'values', names: ['games'], bytes: 2 },
  84: { is: 'counted' },
  85: { is: 'values', names: ['game'], bytes: 2 }
}

/** Everything that moves money or that no table knows is refused before it reaches the line. */
export type Risk = 'telemetry' | 'control' | 'money'
const TELEMETRY = [0x2f, 0x52, 0x53, 0x6f, 0x7b, 0xa0, 0xaf, 0xb1, ...Object.keys(READS).map(Number)]
const CONTROL = [0x01, 0x02, 0x06, 0x07, 0x0e, 0x7f]
const REGISTRATION = 0x73
const LOCK = 0x74
const ASKS = 0xff

/** What a poll to a machine may do; `data` begins behind the command. */
export function riskOf(command: number, data: Uint8Array): Risk {
  if (TELEMETRY.includes(command)) return 'telemetry'
  // asking only; the same codes register a machine and lock it
  if (command === REGISTRATION && data[0] === 1 && data[1] === ASKS) return 'telemetry'
  if (command === LOCK && data[0] === ASKS) return 'telemetry'
  return CONTROL.includes(command) ? 'control' : 'money'
}
