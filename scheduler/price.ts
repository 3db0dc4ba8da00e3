import type { TaskSpec } from './spec.ts'

/** 1 credit in micro-credits */
export const CREDIT_MICRO = 1_000_000n

// 0.01 credits per CPU second (tasks.md) = 10 micro-credits per ms.
const MICRO_PER_CPU_MS = 10

const PRIORITY_FACTOR: Record<TaskSpec['priority'], number> = { low: 0.8, normal: 1, high: 1.5, critical: 2 }

// What a job reserves when its author names no `maxPrice`: 100 CPU seconds at normal priority.
const DEFAULT_BOUND_MICRO = CREDIT_MICRO

/** Price of `ms` of normalised CPU time, in micro-credits, at least 1. */
export function priceOf(ms: number, priority: TaskSpec['priority']): bigint {
  return BigInt(Math.max(1, Math.round(ms * MICRO_PER_CPU_MS * PRIORITY_FACTOR[priority])))
}

/** The most that a job may cost, in micro-credits: `maxPrice` (credits) or the default. The charge never exceeds it. */
export function boundOf(maxPrice: number | undefined): bigint {
  return maxPrice == null
    ? DEFAULT_BOUND_MICRO
    : BigInt(Math.max(1, Math.floor(maxPrice * Number(CREDIT_MICRO))))
}
