import type { JobReport, Progress, WorkerInfo } from '../../scheduler/index.ts'
import type * as Wire from './schema.ts'

/** A job as JSON has it. By hand, because a list has many and a general way costs ten times as much. */
export function plainReport({ bound, paid, shares, ...report }: JobReport): Wire.JobReport {
  return {
    ...report,
    bound: bound.toString(),
    paid: paid.toString(),
    shares: shares.map(share => ({ ...share, paid: share.paid.toString() }))
  }
}

export function plainProgress(progress: Progress): Wire.Progress {
  return { ...progress, paid: progress.paid.toString() }
}

export function plainWorker(worker: WorkerInfo): Wire.WorkerInfo {
  return { ...worker, minPrice: worker.minPrice.toString() }
}

/** bigint → decimal string; for the few small shapes of prices and credits. */
export type Plain<T> = T extends bigint ? string : T extends object ? { [K in keyof T]: Plain<T[K]> } : T

export function plain<T>(value: T): Plain<T> {
  return JSON.parse(
    JSON.stringify(value, (_, child) => (typeof child === 'bigint' ? child.toString() : child))
  )
}

/**
 * A result as people read it in JSON: bigint → decimal string, bytes → base64, typed arrays → arrays. NaN and ±Infinity
 * become null. Who needs the exact value asks for the canonical form.
 */
export function readable(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, readable)
  if (Array.isArray(value)) return value.map(readable)
  const out: Record<string, unknown> = {}
  for (const [key, child] of Object.entries(value)) {
    const shown = readable(child)
    // assigned, it would become the prototype
    if (key === '__proto__') Object.defineProperty(out, key, { value: shown, enumerable: true })
    else out[key] = shown
  }
  return out
}
