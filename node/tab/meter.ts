import type { TabState } from './contract.ts'
import { read } from './limits.ts'

/** What this browser has lent, all times together. */
export interface Meter {
  slices: number
  ms: number
  /** micro-credits, decimal */
  earned: string
}

const KEY = 'artel.lent'

/** Adds what a time of lending tells of itself to what was before; kept in the browser. */
export function openMeter() {
  let before = kept()
  let now = before
  return {
    get value(): Meter {
      return now
    },
    /** A time of lending begins, which counts from nothing. */
    begin(): void {
      before = now
    },
    see({ slices = 0, ms = 0, earned = '0' }: Partial<TabState>): void {
      if (before.slices + slices === now.slices) return
      now = {
        slices: before.slices + slices,
        ms: before.ms + ms,
        earned: `${BigInt(before.earned) + BigInt(earned)}`
      }
      localStorage.setItem(KEY, JSON.stringify(now))
    }
  }
}

function kept(): Meter {
  const { slices, ms, earned } = read<Partial<Meter>>(KEY) ?? {}
  return {
    slices: Number(slices) || 0,
    ms: Number(ms) || 0,
    earned: /^\d+$/.test(`${earned}`) ? `${earned}` : '0'
  }
}
