import { availableParallelism } from 'node:os'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const WINDOW_MS = 5 * 60_000
/** more is not remembered; a window of 33 answers a second */
const MAX_KEPT = 10_000
const MB = 1024 * 1024

export interface Limits {
  memoryMb: number
  users: number
  responseMs: number
  errorShare: number
  cpuShare: number
  diskMb: number
}

export interface Measure {
  name: 'memory' | 'users' | 'response' | 'errors' | 'cpu' | 'disk'
  value: number
  limit: number
  unit: 'MB' | 'users' | 'ms' | 'share'
  isOver: boolean
  /** of what it consists */
  parts?: Record<string, number>
}

interface Done {
  at: number
  user: string
  ms: number
  isError: boolean
}

/** The six figures by which its owner sees whether the machine still carries its users, each with its limit. */
export function createMeasures(
  registry: Registry,
  /** bytes in memory and on the disk, by part */
  sizes: () => { memory: Record<string, number>; diskBytes: number },
  now: () => number
) {
  const registers = [registry]
  const answers = new Counter({
    name: 'answers_total',
    help: 'answers, by kind, origin and status',
    labelNames: ['endpoint', 'cache', 'status'],
    registers
  })
  const errors = new Counter({
    name: 'provider_errors_total',
    help: 'calls of providers that failed',
    labelNames: ['code'],
    registers
  })
  const seconds = new Histogram({
    name: 'response_seconds',
    help: 'until the answer begins',
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers
  })
  const gauges = new Gauge({
    name: 'measure',
    help: 'the six figures of the last five minutes; see artel assistant status',
    labelNames: ['name'],
    registers,
    collect() {
      for (const { name, value } of measure({} as Limits)) this.set({ name }, value)
    }
  })
  void gauges
  const done: Done[] = []
  let cpu = { usage: process.cpuUsage(), at: performance.now(), share: 0 }

  function recent(): Done[] {
    const old = done.findIndex(({ at }) => at > now() - WINDOW_MS)
    done.splice(0, old === -1 ? done.length : old)
    return done
  }

  /** of all cores, since it was last asked for, at least a second ago */
  function cpuShare(): number {
    const passed = performance.now() - cpu.at
    if (passed < 1000) return cpu.share
    const { user, system } = process.cpuUsage(cpu.usage)
    const share = (user + system) / 1000 / passed / availableParallelism()
    cpu = { usage: process.cpuUsage(), at: performance.now(), share }
    return share
  }

  function measure(limits: Limits): Measure[] {
    const answered = recent()
    const times = answered.map(({ ms }) => ms).sort((a, b) => a - b)
    const { memory, diskBytes } = sizes()
    const rss = process.memoryUsage.rss()
    const failed = answered.filter(({ isError }) => isError).length
    const inMb = (bytes: number): number => Math.round((bytes / MB) * 10) / 10
    const figures = [
      ['memory', inMb(rss), limits.memoryMb, 'MB'],
      ['users', new Set(answered.map(({ user }) => user)).size, limits.users, 'users'],
      // 95 of 100 answers begin sooner
      ['response', Math.round(times[Math.floor(times.length * 0.95)] ?? 0), limits.responseMs, 'ms'],
      ['errors', answered.length === 0 ? 0 : failed / answered.length, limits.errorShare, 'share'],
      ['cpu', Math.round(cpuShare() * 1000) / 1000, limits.cpuShare, 'share'],
      ['disk', inMb(diskBytes), limits.diskMb, 'MB']
    ] as const
    return figures.map(([name, value, limit, unit]) => ({
      name,
      value,
      limit,
      unit,
      isOver: value > limit,
      ...(name === 'memory'
        ? { parts: Object.fromEntries(Object.entries(memory).map(([part, bytes]) => [part, inMb(bytes)])) }
        : {})
    }))
  }

  return {
    measure,
    providerFailed: (code: string): void => errors.inc({ code }),
    /** @param status of HTTP; @param ms until the answer began */
    answered(user: string, endpoint: string, cache: string, status: number, ms: number): void {
      answers.inc({ endpoint, cache, status })
      seconds.observe(ms / 1000)
      if (done.length >= MAX_KEPT) done.shift()
      done.push({ at: now(), user, ms, isError: status >= 500 })
    }
  }
}

export type Measures = ReturnType<typeof createMeasures>
