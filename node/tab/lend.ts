import type { TabState, ToTab } from './contract.ts'
import type { TabLimits } from './policy.ts'

export interface Lending {
  update(limits: TabLimits): void
  /** Ends the Worker and all programs in it, at once. */
  stop(): void
}

/** Two tabs with one key would be one peer twice. */
const LOCK = 'artel-lend'

/**
 * Lends this page: a Worker with the node's part, and a frame without an origin in which the programs run.
 * Throws where another tab of this browser lends already, and where the page is no secure context.
 */
export async function lend(
  init: Omit<ToTab, 'meeting'>,
  onState: (state: Partial<TabState>) => void
): Promise<Lending> {
  if (!isSecureContext) throw new Error('insecure')
  const release = await takeLock()
  const frame = document.createElement('iframe')
  frame.setAttribute('sandbox', 'allow-scripts')
  frame.hidden = true
  frame.src = './walls.html'
  const loaded = new Promise(resolve => frame.addEventListener('load', resolve, { once: true }))
  document.body.append(frame)
  await loaded
  const { port1, port2 } = new MessageChannel()
  frame.contentWindow!.postMessage(0, '*', [port1])
  const worker = new Worker(new URL('./main.ts', import.meta.url), { type: 'module', name: 'tab' })
  worker.onmessage = ({ data }: MessageEvent<Partial<TabState>>) => onState(data)
  worker.onerror = event => onState({ problem: event.message })
  const meeting = new URL('./volunteer/network', location.href).href
  worker.postMessage({ ...init, meeting } satisfies ToTab, [port2])
  return {
    update: limits => worker.postMessage({ ...init, meeting, limits } satisfies ToTab),
    stop() {
      worker.terminate()
      frame.remove()
      release()
    }
  }
}

/** Held until the function that this gives is called, or the page is gone. */
function takeLock(): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(LOCK, { ifAvailable: true }, async lock => {
        if (lock == null) throw new Error('elsewhere')
        const { promise, resolve: release } = Promise.withResolvers<void>()
        resolve(release)
        await promise
      })
      .catch(reject)
  })
}
