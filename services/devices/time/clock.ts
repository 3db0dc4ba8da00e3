import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import type { ClockState } from '../log/entry.ts'
import type { Moment } from '../log/recorder.ts'

/** A clock that was set, or went on with another pace. */
const JUMP_MS = 1_000
/** Clocks differ; what is of later than that is not believed. */
export const AHEAD_MS = 5 * 60_000
/** systemd-timesyncd makes it once it has asked a server; chrony's package does so too. */
const SYNCHRONIZED = '/run/systemd/timesync/synchronized'
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const BOOT_CHARS = 8

export interface Jump {
  fromMs: number
  toMs: number
}

/** How far the clock has moved beside what passed; undefined where it kept pace. Pure. */
export function jumpBetween(
  before: Pick<Moment, 'monoMs' | 'timeMs'>,
  after: Pick<Moment, 'monoMs' | 'timeMs'>
): Jump | undefined {
  const fromMs = before.timeMs + (after.monoMs - before.monoMs)
  return Math.abs(after.timeMs - fromMs) > JUMP_MS ? { fromMs, toMs: after.timeMs } : undefined
}

/** The time of this machine: that since it was started, which nobody can set, and what its clock says. */
export function createClock(now: () => number) {
  const boot = bootId()
  let clock: ClockState = state()
  const moment = (): Moment => ({
    boot,
    monoMs: Number(process.hrtime.bigint() / 1_000_000n),
    timeMs: now(),
    clock
  })
  let last = moment()
  return {
    moment,
    /** What has changed since it was looked at last. */
    look(): { jump: Jump | undefined; clock: ClockState | undefined } {
      const before = clock
      clock = state()
      const next = moment()
      const jump = jumpBetween(last, next)
      last = next
      return { jump, clock: clock === before ? undefined : clock }
    }
  }
}

const state = (): ClockState => (existsSync(SYNCHRONIZED) ? 'ntp' : 'unset')

function bootId(): string {
  try {
    return readFileSync(BOOT_ID, 'utf8').slice(0, BOOT_CHARS)
  } catch {
    // no Linux: each start of the node counts as one
    return randomUUID().slice(0, BOOT_CHARS)
  }
}
