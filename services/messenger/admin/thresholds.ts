import type { Finding } from './declared.ts'
import { type Said, say } from './said.ts'

/** Of this machine and node, as measured. */
export interface Readings {
  /** of all processors since it was asked last, 0 to 1 */
  cpu: number
  memory: number
  diskFree: number
  databaseBytes: number
  /** ms, 95 of 100 answers were faster */
  answerMs: number
  /** of those that may follow what happens, 0 to 1 */
  sockets: number
}

type Threshold = { name: keyof Readings; warn: number; fail: number; isLeast?: true; remedy: Said }
const MB = 1_000_000

/** What is normal up to where, and critical from where on. */
const THRESHOLDS: readonly Threshold[] = [
  {
    name: 'cpu',
    warn: 0.7,
    fail: 0.9,
    remedy: say`end other programs, or let this node lend less: artel contribute`
  },
  {
    name: 'memory',
    warn: 0.8,
    fail: 0.95,
    remedy: say`end other programs, or give this machine more memory`
  },
  {
    name: 'diskFree',
    warn: 0.2,
    fail: 0.1,
    isLeast: true,
    remedy: say`artel messenger cleanup, or make room on the disk`
  },
  {
    name: 'databaseBytes',
    warn: 100 * MB,
    fail: 1_000 * MB,
    remedy: say`artel messenger cleanup; a smaller messenger.mailMb`
  },
  {
    name: 'answerMs',
    warn: 500,
    fail: 2_000,
    remedy: say`artel messenger diagnose; see memory and processor`
  },
  {
    name: 'sockets',
    warn: 0.8,
    fail: 0.95,
    remedy: say`close pages that nobody looks at, or let people sign in at a second node; artel messenger log websocket says who follows`
  }
]

/** `failAt`: bounds in the place of those above. A bound itself is beyond. Pure. */
export function judge(readings: Readings, failAt: Partial<Record<keyof Readings, number>> = {}): Finding[] {
  return THRESHOLDS.map(({ name, warn, fail, isLeast, remedy }) => {
    const value = readings[name]
    const isBeyond = (bound: number): boolean => (isLeast === true ? value <= bound : value >= bound)
    const state = isBeyond(failAt[name] ?? fail) ? 'fail' : isBeyond(warn) ? 'warn' : 'ok'
    return { name, state, detail: shown(name, value), ...(state === 'ok' ? {} : { remedy }) }
  })
}

function shown(name: keyof Readings, value: number): Said {
  if (name === 'databaseBytes') return say`${(value / MB).toFixed(1)} MB`
  return name === 'answerMs' ? say`${Math.round(value)} ms` : say`${Math.round(value * 100)} %`
}

/** The value that 95 of 100 do not pass; 0 of none. Pure. */
export function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.95) - 1)] ?? 0
}
