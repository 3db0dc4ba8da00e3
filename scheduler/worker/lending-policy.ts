import { type CpuTimes, createIdleMeter, ownProcessMs, systemTimes } from './idle-meter.ts'

/** What the owner of a machine allows others to do with it. The owner's own jobs are always admitted. */
export interface WorkerPolicy {
  /** slices that run at the same time; 0 = this node lends nothing */
  slots: number
  /** for which the memory lent is enough */
  maxProcesses: number
  /** memory of one process, MB */
  memoryMb: number
  /** longest time of one slice, ms, whatever its requester asks for */
  maxSliceMs: number
  /** what its offers say beside the capacity */
  terms: OfferTerms
  /** undefined = admitted, else the reason for the refusal, for the requester to read */
  admit(request: WorkRequest): string | undefined
  /** may run where a wall is missing: the owner and the peers on the allow-list */
  trusted(requester: string): boolean
  /** why the machine is lent to nobody at this moment */
  closed(): string | undefined
  /** once per second: ms for which slots have been busy so far, all together */
  observe(ownMs: number): void
}

export interface OfferTerms {
  /** of the base price */
  multiplier: number
  /** micro-credits per CPU second */
  minPriceMicro: number
  /** task types; undefined = all */
  types?: string[]
  tags: string[]
}

/** One slice that somebody wants to run here. */
export interface WorkRequest {
  requester: string
  /** undefined when the requester does not say */
  type?: string
  /** memory of its process, MB; 0 = whatever this worker gives */
  memoryMb: number
  /** what the requester expects it to take; 0 = unknown */
  expectedMs: number
  /** micro-credits; undefined when the requester does not say */
  price?: number
}

/** A policy that the owner can change while the node runs. */
export interface LivePolicy extends WorkerPolicy {
  /** Counts at once for what is asked from now on; what was taken before is finished. */
  update(settings: PolicySettings): void
}

export interface PolicySettings extends OfferTerms {
  /** CPU cores to lend at most (`maxCpu`) */
  slots: number
  /** of one process, MB */
  memoryMb: number
  maxSliceMs: number
  /** of all processes together, MB */
  maxRamMb: number
  /** "22:00-07:00" in local time: nothing is lent */
  quietHours: string[]
  /** lends only while nothing else runs on this machine */
  onlyIdle: boolean
  /** the only requesters; empty = all */
  allowed: string[]
  denied: string[]
  /** may run where a wall is missing; `*` = everybody */
  trusted: string[]
}

const processesIn = ({ memoryMb, maxRamMb }: PolicySettings): number => Math.floor(maxRamMb / memoryMb)

/** Slots that fit into the memory. */
export function slotsOf(settings: PolicySettings): number {
  return Math.max(0, Math.min(settings.slots, processesIn(settings)))
}

/**
 * Why the slice is refused, or undefined. Pure. What a requester does not say is taken as not fulfilled, where
 * the owner asks for anything.
 */
export function refusal(
  settings: Pick<PolicySettings, 'allowed' | 'denied' | 'types' | 'minPriceMicro' | 'memoryMb'>,
  request: WorkRequest
): string | undefined {
  const { requester, type, memoryMb, expectedMs, price } = request
  const { allowed, denied, types, minPriceMicro } = settings
  if (denied.includes(requester)) return 'this worker takes nothing from you'
  if (allowed.length > 0 && !allowed.includes(requester))
    return 'this worker takes jobs only from peers on its list'
  if (types != null && (type == null || !types.includes(type)))
    return `this worker takes ${types.join(', ')}, not ${type ?? 'tasks without a type'}`
  if (memoryMb > settings.memoryMb)
    return `needs ${memoryMb} MB for a process, this worker lends ${settings.memoryMb} MB`
  // rounded down, as prices are rounded once
  const least = Math.floor((minPriceMicro * expectedMs) / 1000)
  if (minPriceMicro > 0 && (price == null || price < least))
    return `this worker asks at least ${minPriceMicro} micro-credits per CPU second; raise maxPrice or priority`
}

/**
 * true when the minute of the day lies in one of the ranges; one from 22:00 to 07:00 goes over midnight, one that
 * ends where it begins is the whole day. Pure.
 */
export function isQuiet(ranges: readonly (readonly [from: number, to: number])[], minute: number): boolean {
  return ranges.some(([from, to]) =>
    from < to ? minute >= from && minute < to : minute >= from || minute < to
  )
}

/** What quiet hours look like: 22:00-07:00 */
export const QUIET_HOURS = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/

/** "22:00-07:00" → minutes of the day. */
export function parseQuietHours(text: string): [from: number, to: number] {
  const match = QUIET_HOURS.exec(text)
  if (match == null) throw new RangeError(`quiet hours must look like 22:00-07:00, got "${text}"`)
  const [from, fromMinute, to, toMinute] = match.slice(1).map(Number) as [number, number, number, number]
  return [from * 60 + fromMinute, to * 60 + toMinute]
}

/** The owner's settings as the worker asks them. */
export function createPolicy(
  initial: PolicySettings,
  components: { clock?: () => Date; cpuTimes?: () => CpuTimes; processMs?: () => number } = {}
): LivePolicy {
  const { clock = () => new Date(), cpuTimes = systemTimes, processMs = ownProcessMs } = components
  let settings = initial
  let meter = initial.onlyIdle ? createIdleMeter(cpuTimes) : undefined

  function closed(): string | undefined {
    const now = clock()
    const quiet = settings.quietHours.map(parseQuietHours)
    if (isQuiet(quiet, now.getHours() * 60 + now.getMinutes())) return 'this worker keeps quiet hours now'
    if (meter?.idle === false) return 'the owner uses this machine now'
  }

  return {
    get slots() {
      return slotsOf(settings)
    },
    get maxProcesses() {
      return processesIn(settings)
    },
    get memoryMb() {
      return settings.memoryMb
    },
    get maxSliceMs() {
      return settings.maxSliceMs
    },
    get terms() {
      const { multiplier, minPriceMicro, types, tags } = settings
      return { multiplier, minPriceMicro, types, tags }
    },
    admit: request => closed() ?? refusal(settings, request),
    trusted: requester => settings.trusted.includes('*') || settings.trusted.includes(requester),
    closed,
    observe: ownMs => meter?.look(ownMs + processMs()),
    update(changed) {
      // what was seen of the load stays true while it is wanted
      meter = changed.onlyIdle ? (meter ?? createIdleMeter(cpuTimes)) : undefined
      settings = changed
    }
  }
}
