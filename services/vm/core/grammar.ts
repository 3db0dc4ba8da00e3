import { UsageError } from '../errors.ts'

const LINE_BYTES = 4096
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
/** The largest machine the grammar knows; quotas are narrower. */
const RANGES = { ram: [16, 1_048_576], cpu: [1, 256], size: [1, 65_536] } as const

/** Shows a value of a stranger in a message: one line, no control characters, at most 64 characters. */
export function shown(value: string): string {
  const short = value.length > 64 ? `${value.slice(0, 64)}…` : value
  return JSON.stringify(short).replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?')
}

/** What a host says, for a terminal: lines without anything that could steer it. */
export function plain(text: string): string {
  return text.replace(/[^\P{C}\n]/gu, '?')
}

/** @throws UsageError unless it is 1 to 63 letters, digits, dots, dashes or underscores, the first a letter or digit */
export function parseId(text: string, what = 'id'): string {
  if (ID.test(text)) return text
  throw new UsageError(
    `${what} ${shown(text)} is not 1 to 63 letters, digits, '.', '-' or '_' that begin with a letter or digit`
  )
}

/**
 * A whole decimal number.
 * @throws UsageError with the value where it is none or outside of what a machine may have (MB, CPUs, GB)
 */
export function parseFigure(text: string, what: keyof typeof RANGES): number {
  const [least, most] = RANGES[what]
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw new UsageError(`${what} ${shown(text)} is not a whole number from ${least} to ${most}`)
}

/** The words of a command line. @throws UsageError where the line is longer than 4 KiB */
export function parseLine(line: string): string[] {
  const bytes = Buffer.byteLength(line)
  if (bytes > LINE_BYTES) throw new UsageError(`the line has ${bytes} bytes; at most ${LINE_BYTES}`)
  return line
    .trim()
    .split(/\s+/)
    .filter(word => word !== '')
}
