import Table from 'cli-table3'
import { EXIT, verdict } from '../errors.ts'
import { harmless } from '../logger.ts'

/** Every command takes these. */
export interface OutputOptions {
  json?: boolean
  verbose?: boolean
}

/** One result: a JSON document with --json, else what `human` makes of it. */
export function print<T>(value: T, options: OutputOptions, human: (value: T) => string): void {
  process.stdout.write(`${options.json === true ? toJson(value) : human(value)}\n`)
}

/**
 * What cannot be written is said, and no command ends with 0 then. Whoever has closed our output wants no more of it:
 * that is no failure.
 */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || process.exitCode === EXIT.machine) return
    process.exitCode = EXIT.machine
    process.stderr.write(`artel: the output cannot be written: ${error.message}\n`)
  })
}

/** Ends the program once all is written; 0 becomes the code of what could not be. */
export async function end(code: number): Promise<never> {
  await new Promise(resolve => process.stdout.write('', resolve))
  process.exit(code === 0 ? process.exitCode : code)
}

/** bigint becomes a decimal string, typed arrays plain arrays. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, child) => {
    if (typeof child === 'bigint') return child.toString()
    if (ArrayBuffer.isView(child))
      return [...(child as Uint8Array)].map(item => (typeof item === 'bigint' ? String(item) : item))
    return child
  })
}

/** Columns without a frame, so that grep and awk can read them too. */
export function table(head: string[], rows: (string | number)[][]): string {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: ' '
  }
  const lines = new Table({
    head,
    chars: none,
    style: { 'padding-left': 0, 'padding-right': 1, head: [], border: [] }
  })
  lines.push(...rows.map(row => row.map(cell => harmless(String(cell)))))
  return lines.toString()
}

const THOUSANDS = ['', 'k', 'M', 'G', 'T', 'P']

/** A count that fits into a column: 1.2M; exact below 100,000. */
export function compact(count: number): string {
  if (count < 100_000) return String(Number(count.toFixed(count < 100 ? 1 : 0)))
  const power = Math.min(THOUSANDS.length - 1, Math.floor(Math.log10(count) / 3))
  return `${Number((count / 1000 ** power).toFixed(1))}${THOUSANDS[power]}`
}

/** 950 ms, 12.3 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's']
  ]
  let left = Math.round(ms / 1000)
  const parts = units.map(([seconds, name]) => {
    const count = Math.floor(left / seconds)
    left -= count * seconds
    return [count, name] as const
  })
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${count} ${name}`)
    .join(' ')
}

/** Credits of micro-credits, exactly. */
export function credits(micro: string | bigint): string {
  const value = BigInt(micro)
  const sign = value < 0n ? '-' : ''
  const [whole, rest] = [value / 1_000_000n, value % 1_000_000n].map(part => (part < 0n ? -part : part))
  const fraction = rest!.toString().padStart(6, '0').replace(/0+$/, '')
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/**
 * Ends the program with one line on standard error and the exit code of the error's name. The stack is for who
 * asks with --verbose or ARTEL_DEBUG, and for errors that are our own mistake.
 */
export function fail(error: Error): never {
  const { exit } = verdict(error)
  const isAsked = process.argv.includes('--verbose') || Boolean(process.env.ARTEL_DEBUG)
  const line = harmless(error.message.replace(/^error: /, ''))
  const hint =
    exit === EXIT.internal && !isAsked
      ? ` (${error.name}; this should not happen, see it all with --verbose)`
      : ''
  process.stderr.write(`artel: ${line}${hint}\n`)
  if (isAsked) process.stderr.write(`${error.stack}\n`)
  process.exit(exit)
}
