import type { TrustLevel } from '../../ledger/index.ts'
import type { TaskSpec } from '../tasks/registry.ts'

/**
 * Prices. Pure. Factors are plain numbers; an amount is rounded once, at its end, to integer
 * micro-credits.
 */

/** 1 credit in micro-credits */
export const CREDIT_MICRO = 1_000_000n

// 0.01 credits per CPU second and 0.05 per GPU second = 10 and 50 micro-credits per ms.
const MICRO_PER_CPU_MS = 10
const MICRO_PER_GPU_MS = 50
// 0.02 credits per GB·hour of memory and 0.005 of disk, 1 GB = 1000 MB = 10^9 bytes, in micro-credits per MB·ms.
const GB_HOUR_IN_MB_MS = 1000 * 3_600_000
const MICRO_PER_MEMORY_MB_MS = 20_000 / GB_HOUR_IN_MB_MS
const MICRO_PER_DISK_MB_MS = 5_000 / GB_HOUR_IN_MB_MS

type Priority = TaskSpec['priority']

export const PRIORITY_FACTOR: Readonly<Record<Priority, number>> = {
  low: 0.8,
  normal: 1,
  high: 1.5,
  critical: 2
}

/** The lowest and the highest that supply and demand make of a price. */
export const MARKET_RANGE = { low: 0.8, high: 1.8 } as const
const MARKET_STEPS: readonly [below: number, factor: number][] = [
  [0.6, MARKET_RANGE.low],
  [0.8, 1],
  [0.95, 1.3],
  [Number.POSITIVE_INFINITY, MARKET_RANGE.high]
]
const MARKET_MEMORY = 0.7

const MAX_SCARCITY = 3

const REPUTATION_FACTOR: Readonly<Record<TrustLevel, number>> = {
  terrible: 1.5,
  poor: 1.2,
  average: 1,
  good: 0.9,
  excellent: 0.8
}

// What a job reserves at most when its author names no `maxPrice`: 100 CPU seconds at normal priority, …
const DEFAULT_BOUND_MICRO = CREDIT_MICRO
// … and at least: half a CPU second.
const LEAST_BOUND_MICRO = CREDIT_MICRO / 200n
// Units that take longer than those before, and workers that ask more than the one in the middle.
const RESERVE_FACTOR = 4n
// Of what there is, where nothing is known of a job: hundreds at the same time have something each.
const RESERVE_SHARE = 100n

/** What work uses: times in ms, memory and disk in MB over ms. */
export interface Resources {
  cpuMs?: number
  gpuMs?: number
  memoryMbMs?: number
  diskMbMs?: number
}

const microOf = ({ cpuMs = 0, gpuMs = 0, memoryMbMs = 0, diskMbMs = 0 }: Resources): number =>
  cpuMs * MICRO_PER_CPU_MS +
  gpuMs * MICRO_PER_GPU_MS +
  memoryMbMs * MICRO_PER_MEMORY_MB_MS +
  diskMbMs * MICRO_PER_DISK_MB_MS

/** Price before any factor, in micro-credits. */
export function basePrice(resources: Resources): bigint {
  return BigInt(Math.round(microOf(resources)))
}

/** Factor of one look at the market. `utilisation`: busy slots / all slots of the offers seen. */
export function marketFactor(utilisation: number): number {
  // whole per cent: "to 79 %" ends where 80 begins
  return MARKET_STEPS.find(([below]) => utilisation < below)?.[1] ?? MARKET_RANGE.high
}

/** The market factor after one more look: 0.7 of the old one and 0.3 of the new. */
export function smoothed(old: number, utilisation: number): number {
  return MARKET_MEMORY * old + (1 - MARKET_MEMORY) * marketFactor(utilisation)
}

/**
 * Factor of a rare ability: 1 / √(share of the offers that have it), at most 3. Where every offer will do, and where
 * no offer was seen, it is 1.
 */
export function scarcityFactor(able: number, offers: number): number {
  if (offers <= 0 || able >= offers) return 1
  return Math.min(MAX_SCARCITY, 1 / Math.sqrt(Math.max(0, able) / offers))
}

/**
 * Factor of the requester's standing: who did good work for others computes cheaper. An account of unknown
 * standing pays as an average one.
 */
export function reputationFactor(level: TrustLevel = 'average'): number {
  return REPUTATION_FACTOR[level]
}

/** Everything but the priority that multiplies the base price; what is not named is 1. */
export interface Factors {
  market?: number
  scarcity?: number
  reputation?: number
  /** the worker's own */
  multiplier?: number
  /** expected copies of the work that are paid for so that it is verified (credibility.ts, expectedCost) */
  verification?: number
}

export function product({
  market = 1,
  scarcity = 1,
  reputation = 1,
  multiplier = 1,
  verification = 1
}: Factors): number {
  return market * scarcity * reputation * multiplier * verification
}

/**
 * Price of `ms` of normalised CPU time in a process of `memoryMb`, in micro-credits, at least 1.
 * `factor`: the product of all factors but the priority.
 */
export function priceOf(
  ms: number,
  priority: Priority,
  { factor = 1, memoryMb = 0 }: { factor?: number; memoryMb?: number } = {}
): bigint {
  const base = microOf({ cpuMs: ms, memoryMbMs: memoryMb * ms })
  return BigInt(Math.max(1, Math.round(base * PRIORITY_FACTOR[priority] * factor)))
}

/** The most that a job may cost, in micro-credits: `maxPrice` (credits) or the default. The charge never exceeds it. */
export function boundOf(maxPrice: number | undefined): bigint {
  return maxPrice == null
    ? DEFAULT_BOUND_MICRO
    : BigInt(Math.max(1, Math.floor(maxPrice * Number(CREDIT_MICRO))))
}

/**
 * What a job without `maxPrice` reserves, in micro-credits, and can cost at most. `expected`: its price where the speed of
 * its program is known.
 */
export function reservation({ expected, available }: { expected?: bigint; available: bigint }): bigint {
  const wanted = expected == null ? available / RESERVE_SHARE : expected * RESERVE_FACTOR
  if (wanted > DEFAULT_BOUND_MICRO) return DEFAULT_BOUND_MICRO
  return wanted < LEAST_BOUND_MICRO ? LEAST_BOUND_MICRO : wanted
}

/** Where the expected time of a quote comes from, surest first. */
export type Basis = 'measured' | 'calibrated' | 'default'

/** What a job will probably cost, in micro-credits. */
export interface Quote {
  /** never above `bound`; with the basis `default` nothing is known and it is the bound */
  expected: bigint
  /** The charge never exceeds it: `maxPrice`, or what a job without one reserves. */
  bound: bigint
  /** What the work costs without the bound; when it is more, workers that ask their price will refuse the job. */
  fair: bigint
  basis: Basis
  /** expected CPU time of one copy of the work; undefined with the basis `default` */
  cpuMs?: number
  factors: Required<Factors> & { priority: number }
}

export function quoteOf(init: {
  cpuMs?: number
  basis: Basis
  memoryMb: number
  priority: Priority
  factors: Required<Factors>
  /** what is reserved */
  bound: bigint
}): Quote {
  const { basis, memoryMb, priority, bound } = init
  const factors = { ...init.factors, priority: PRIORITY_FACTOR[priority] }
  const cpuMs = basis === 'default' ? undefined : init.cpuMs
  if (cpuMs == null) return { expected: bound, bound, fair: bound, basis: 'default', factors }
  const fair = priceOf(cpuMs, priority, { factor: product(init.factors), memoryMb })
  const isTooMuch = fair > bound
  return { expected: isTooMuch ? bound : fair, bound, fair, basis, cpuMs, factors }
}
