import { type NewMessage, RefusedError } from './api.ts'

const RETRIES = 3
const RETRY_MS = 2_000
/** The line tells when the node is back; this is for where it does not. */
const LATER_MS = 30_000

export interface Waiting extends NewMessage {
  key: string
  state: 'sending' | 'waiting' | 'refused'
  why?: string
}
export type Outbox = ReturnType<typeof createOutbox>

/**
 * Rows that are not among these texts yet: own ones that came since, and of which the node said nothing so far. Pure.
 */
export function stillUnsent(rows: readonly Waiting[], fresh: readonly string[]): Waiting[] {
  const there = [...fresh]
  return rows.filter(({ text, state }) => {
    const at = state === 'sending' ? there.indexOf(text) : -1
    if (at >= 0) there.splice(at, 1)
    return at < 0
  })
}

/**
 * Messages on their way to the node, one after the other. Each keeps its key, so that one which arrived without an
 * answer is not written twice. What the node refuses stays, with why, until somebody takes it away or tries again.
 */
export function createOutbox(
  say: (message: NewMessage, key: string) => Promise<unknown>,
  changed: (rows: readonly Waiting[]) => void,
  /** what did not go the last time */
  kept: readonly Waiting[] = []
) {
  let rows = kept
  let isRunning = false
  let isClosed = false
  let wake = (): void => {}
  let shown = async (_group: string): Promise<void> => {}

  function set(next: readonly Waiting[]): void {
    rows = next
    if (!isClosed) changed(rows)
  }
  const mark = (key: string, change: Partial<Waiting>): void =>
    set(rows.map(row => (row.key === key ? { ...row, ...change } : row)))
  const pause = (ms: number): Promise<void> =>
    new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  async function run(): Promise<void> {
    if (isRunning) return
    isRunning = true
    for (let failures = 0; !isClosed; ) {
      const row = rows.find(({ state }) => state !== 'refused')
      if (row === undefined) break
      const { key, state: _, why: __, ...message } = row
      try {
        await say(message, key)
        await shown(message.group)
        set(rows.filter(each => each.key !== key))
        failures = 0
      } catch (error) {
        const { status = 0, retryMs } = error instanceof RefusedError ? error : {}
        if (retryMs === undefined && status >= 400 && status < 500) {
          mark(key, { state: 'refused', why: (error as Error).message })
          continue
        }
        mark(key, { state: 'waiting' })
        await pause(retryMs ?? (failures++ < RETRIES ? RETRY_MS : LATER_MS))
      }
    }
    isRunning = false
  }
  void run()

  return {
    add(message: NewMessage): void {
      const key = [...crypto.getRandomValues(new Uint32Array(4))].map(each => each.toString(36)).join('-')
      set([...rows, { ...message, key, state: 'sending' }])
      void run()
    },
    again(key: string): void {
      mark(key, { state: 'sending' })
      void run()
    },
    /** What the node has is let go of when the answer of `load` shows it among the others. */
    onSent(load: typeof shown): void {
      shown = load
    },
    drop: (key: string): void => set(rows.filter(each => each.key !== key)),
    /** The node answers again. */
    wake: (): void => wake(),
    close(): void {
      isClosed = true
      wake()
    }
  }
}
