/** How an answer is laid out; what is read of it is in frames.ts. */
export type Layout =
  /** so many decimal values of so many bytes each, with a name for each */
  | { is: 'values'; names: readonly string[]; bytes: number }
  /** a byte says how many follow */
  | { is: 'counted' }
  | { is: 'fixed'; bytes: number }
  /** nothing says how long it is: it ends with silence */
  | { is: 'open' }

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
  27: { is: 'open' },
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
  85: { is: 'values', names: ['game'], bytes: 2 },
  177: { is: 'fixed', bytes: 1 }
}

/** How polls with data are answered that do not say the length: a game and its meters, a game, its features. */
const GAME_BYTES = 2
const VALIDATION = 0x7b
export const ASKED_WITH_DATA: Readonly<Record<number, Layout>> = {
  82: { is: 'fixed', bytes: GAME_BYTES + 16 },
  83: { is: 'fixed', bytes: GAME_BYTES + 20 },
  [VALIDATION]: { is: 'open' },
  160: { is: 'fixed', bytes: GAME_BYTES + 6 }
}

/** Everything that moves money or that no table knows is refused before it reaches the line. */
export type Risk = 'telemetry' | 'control' | 'money'
const TELEMETRY = [0x2f, 0x6f, 0xaf, ...Object.keys({ ...READS, ...ASKED_WITH_DATA }).map(Number)]
const CONTROL = [0x01, 0x02, 0x06, 0x07, 0x0e, 0x7f]
export const TRANSFER = 0x72
export const REGISTRATION = 0x73
export const BONUS = 0x8a
export const HANDPAY_RESET = 0x94
const LOCK = 0x74
export const ASKS = 0xff
const ASKED_REGISTRATION = [1, ASKS]
const ASKED_TRANSFER = [2, ASKS, 0]
const LOCK_BYTES = 4

/** What a poll to a machine may do; `data` begins behind the command. */
export function riskOf(command: number, data: Uint8Array): Risk {
  // behind the length: which settings of tickets change, to what, and for how long tickets are good; nothing where all is 0
  if (command === VALIDATION && data.subarray(1).some(byte => byte !== 0)) return 'control'
  if (TELEMETRY.includes(command)) return 'telemetry'
  // asking only; the same codes transfer money, register a machine and lock it
  if (command === TRANSFER && isSame(data, ASKED_TRANSFER)) return 'telemetry'
  if (command === REGISTRATION && isSame(data, ASKED_REGISTRATION)) return 'telemetry'
  if (command === LOCK && data[0] === ASKS && data.length === LOCK_BYTES) return 'telemetry'
  return CONTROL.includes(command) ? 'control' : 'money'
}

/** Polls whose data begins with its own length, and answers that do. */
export const IS_COUNTED = [0x2f, 0x6f, 0xaf, TRANSFER, REGISTRATION]

/** Whether a poll is answered with one byte, yes or no. */
export const isAcknowledged = (command: number): boolean =>
  [...CONTROL, BONUS, HANDPAY_RESET].includes(command)

const isSame = (data: Uint8Array, expected: readonly number[]): boolean =>
  data.length === expected.length && expected.every((byte, i) => data[i] === byte)
