import { performance } from 'node:perf_hooks'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_MS = 250
/** Share of its time that the event loop works; a node that only keeps its connections is far below. */
const BUSY = 0.2
/** Of both halves, as V8 counts. What comes between two looks may double it once more. */
const MOST_BYTES = 32 << 20

/**
 * Lets V8's young generation grow while this process works: garbage is a quarter of what a request costs where it is
 * collected every 2 MiB. `artel.js` keeps it from growing else, which saves an idle node 30 MB. What it grew to it
 * keeps until V8 has collected the whole heap, and then begins small again.
 */
export function growWhileBusy(signal: AbortSignal): void {
  let last = performance.eventLoopUtilization()
  let factor = 1
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    const next = utilization > BUSY && youngBytes() < MOST_BYTES ? 2 : 1
    if (next === factor) return
    factor = next
    v8.setFlagsFromString(`--semi-space-growth-factor=${factor}`)
  }, LOOK_MS)
  timer.unref()
  signal.addEventListener('abort', () => clearInterval(timer))
}

/** Until services have begun. */
const SETTLED_MS = 2_000

/**
 * Collects once what a start leaves behind, 5 to 8 MB: V8 waits for more garbage than an idle node makes in a week. It
 * takes 0.1 s.
 */
export function collectStart(signal: AbortSignal): void {
  const timer = setTimeout(() => {
    v8.setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>
    v8.setFlagsFromString('--no-expose-gc')
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, SETTLED_MS)
  timer.unref()
  signal.addEventListener('abort', () => clearTimeout(timer))
}

/** What the young generation takes now. */
export const youngBytes = (): number =>
  v8.getHeapSpaceStatistics().find(space => space.space_name === 'new_space')!.space_size
