import { decodeValue } from '../../sandbox/value.ts'
import type { Wire } from '../../services/index.ts'
import type { JobReport, Progress } from './contract.ts'
import { createGate } from './gate.ts'
import { delay, type Http, type Place } from './http.ts'

/** subprotocol of the node's WebSocket (services/gateway/schema.ts): events as canonical values */
const WS_PROTOCOL = 'artel.v1.values'
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 2000
// The node tells its load every second: a socket that is silent for this long is a dead one.
const SILENCE_MS = 10_000
/** jobs that are asked for at the same time */
const QUESTIONS = 32

/** Who waits for a job. */
export interface Watcher {
  onProgress(progress: Progress): void
  onEnd(report: JobReport): void
  /** the node does not know the job, or does not answer any more */
  onLost(error: Error): void
}

/** The progress and end of jobs, over one WebSocket for all of them, which is open only while somebody waits. */
export interface Watch {
  add(job: string, watcher: Watcher): void
}

export function createWatch(http: Http, closed: AbortSignal): Watch {
  const questions = createGate(QUESTIONS)
  const waiting = new Map<string, Set<Watcher>>()
  let socket: WebSocket | undefined
  let isRunning = false

  /** Events are lost with their socket, so the jobs are asked for whenever there is a new one, or none to be had. */
  async function run(): Promise<void> {
    let waitMs = FIRST_RETRY_MS
    try {
      while (waiting.size > 0) {
        // where there is no node to connect to, the questions below go on until it is back, or has been away too long
        const wasOpen = await http.locate().then(connected, () => false)
        if (waiting.size === 0) break
        await Promise.all([...waiting.keys()].map(ask))
        waitMs = wasOpen ? FIRST_RETRY_MS : Math.min(waitMs * 2, LAST_RETRY_MS)
        await delay(waitMs, closed)
      }
    } catch (error) {
      for (const job of [...waiting.keys()]) lose(job, error as Error)
    } finally {
      isRunning = false
    }
  }

  /** One WebSocket from its start to its end; true when it was open. */
  async function connected({ url, token }: Place): Promise<boolean> {
    const target = new URL('api/v1/events', url.endsWith('/') ? url : `${url}/`)
    target.protocol = target.protocol.replace('http', 'ws')
    const own = new WebSocket(target, token == null ? [WS_PROTOCOL] : [WS_PROTOCOL, `bearer.${token}`])
    own.binaryType = 'arraybuffer'
    const ended = Promise.withResolvers<void>()
    let silence: ReturnType<typeof setTimeout>
    const heard = (): void => {
      clearTimeout(silence)
      silence = setTimeout(() => ended.resolve(), SILENCE_MS)
    }
    const end = (): void => ended.resolve()
    let wasOpen = false
    own.addEventListener('open', () => {
      wasOpen = true
      socket = own
      for (const job of waiting.keys()) void ask(job)
    })
    own.addEventListener('message', ({ data }) => {
      heard()
      take(decodeValue(new Uint8Array(data)) as Wire.Event)
      if (waiting.size === 0) end()
    })
    own.addEventListener('close', end)
    own.addEventListener('error', end)
    closed.addEventListener('abort', end)
    heard()
    try {
      await ended.promise
      return wasOpen
    } finally {
      clearTimeout(silence!)
      closed.removeEventListener('abort', end)
      socket = undefined
      own.close()
    }
  }

  function take(event: Wire.Event): void {
    if (event.type === 'progress') {
      for (const watcher of waiting.get(event.progress.job) ?? []) watcher.onProgress(event.progress)
    } else if (event.type === 'end') {
      end(event.job)
    }
  }

  function end(report: JobReport): void {
    const watchers = waiting.get(report.job) ?? []
    waiting.delete(report.job)
    for (const watcher of watchers) watcher.onEnd(report)
  }

  async function ask(job: string): Promise<void> {
    try {
      const report = await questions(() => http.call<JobReport>(`/api/v1/tasks/${job}`))
      if (report.finished != null) end(report)
    } catch (error) {
      lose(job, error as Error)
    }
    if (waiting.size === 0) socket?.close()
  }

  function lose(job: string, error: Error): void {
    const watchers = waiting.get(job) ?? []
    waiting.delete(job)
    for (const watcher of watchers) watcher.onLost(error)
  }

  return {
    add(job, watcher) {
      const watchers = waiting.get(job) ?? new Set()
      waiting.set(job, watchers.add(watcher))
      // it may have ended before anybody listened; a socket that is not open yet asks when it is
      if (socket != null) void ask(job)
      if (isRunning) return
      isRunning = true
      void run()
    }
  }
}
