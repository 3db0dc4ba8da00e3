import { createServer } from 'node:net'
import { createHistogram } from 'node:perf_hooks'

/*
 * Loaded into the node that is attacked (`--import`): answers on the Unix socket `ATTACK_PROBE` how long something that
 * came at any moment since the last question would have waited for the event loop. A histogram of timers alone would count a
 * block of ten seconds as one sample among thousands; here every moment of it is a sample.
 */
const TICK_MS = 10

export interface Delays {
  /** ms */
  p99: number
  max: number
}

const path = process.env.ATTACK_PROBE
if (path != null && process.argv[1]?.endsWith('artel.js') === true) {
  const waits = createHistogram()
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    for (let late = now - last - TICK_MS; late > -TICK_MS; late -= TICK_MS)
      waits.record(Math.max(1, Math.round(late * 1000)))
    last = now
  }, TICK_MS).unref()
  createServer(socket => {
    const delays: Delays = { p99: waits.percentile(99) / 1000, max: waits.max / 1000 }
    waits.reset()
    socket.end(JSON.stringify(delays))
  })
    .listen(path)
    .unref()
}
