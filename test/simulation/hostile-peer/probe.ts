import { createServer } from 'node:net'
import { createHistogram } from 'node:perf_hooks'

/*
 * Loaded into the node that is attacked (`--import`): answers on the Unix socket `ATTACK_PROBE` how long something that
 * came at any moment since the last question would have waited for the event loop. A histogram of timers alone would count a
 * block of ten seconds as one sample among thousands; here every moment of it is a sample. `own`: without the time in which a busy
 * machine did something else, for that is no attack.
 */
const TICK_MS = 10

export interface Delays {
  /** ms */
  p99: number
  max: number
  own: { p99: number; max: number }
}

/** How long one would have waited at any moment of a wait. */
function createWaits() {
  const waits = createHistogram()
  return {
    record(ms: number): void {
      for (let late = ms; late > -TICK_MS; late -= TICK_MS) waits.record(Math.max(1, Math.round(late * 1000)))
    },
    take(): { p99: number; max: number } {
      const taken = { p99: waits.percentile(99) / 1000, max: waits.max / 1000 }
      waits.reset()
      return taken
    }
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

const path = process.env.ATTACK_PROBE
if (path != null && process.argv[1]?.endsWith('artel.js') === true) {
  const [all, own] = [createWaits(), createWaits()]
  let [last, lastCpu] = [performance.now(), cpuMs()]
  setInterval(() => {
    const [now, cpu] = [performance.now(), cpuMs()]
    all.record(now - last - TICK_MS)
    own.record(Math.min(now - last, cpu - lastCpu) - TICK_MS)
    ;[last, lastCpu] = [now, cpu]
  }, TICK_MS).unref()
  createServer(socket => socket.end(JSON.stringify({ ...all.take(), own: own.take() } satisfies Delays)))
    .listen(path)
    .unref()
}
