import { createContext, useContext, useSyncExternalStore } from 'react'
import { call } from './client.ts'
import { COOKIE } from './token.ts'
import type { Balance, Event, JobReport, PeerRow, Progress, Stats } from './wire.ts'

const PROTOCOL = 'artel.v1'
const RETRY_MS = [500, 1000, 2000, 4000]
/** Five minutes of a value each second. */
const KEPT_STATS = 300
/** Progress of jobs that nobody looks at any more. */
const KEPT_PROGRESS = 500
/** The node tells its state each second: this long without a word, the line is dead. */
const SILENCE_MS = 10_000

export type Connection = 'connecting' | 'open' | 'lost'

export interface LiveState {
  connection: Connection
  peers: PeerRow[] | undefined
  balance: Balance | undefined
  stats: Stats[]
  progress: ReadonlyMap<string, Progress>
}

/** What the node tells by itself, kept for the pages. Connects again by itself, for ever. */
export interface Live {
  state(): LiveState
  subscribe(changed: () => void): () => void
  /** every event as it comes; `undefined`: connected again, something may have been missed */
  listen(listener: (event: Event | undefined) => void): () => void
  retry(): void
  close(): void
}

/** `isAllowed`: who may not read is told nothing, and asks for nothing. */
export function createLive(secret: string, isAllowed: boolean): Live {
  let state: LiveState = {
    connection: 'connecting',
    peers: undefined,
    balance: undefined,
    stats: [],
    progress: new Map()
  }
  const subscribers = new Set<() => void>()
  const listeners = new Set<(event: Event | undefined) => void>()
  let socket: WebSocket | undefined
  let timer = 0
  let silence = 0
  let attempts = 0
  let isClosed = false
  let wasOpen = false

  function update(change: Partial<LiveState>): void {
    state = { ...state, ...change }
    for (const changed of subscribers) changed()
  }

  function hear(): void {
    window.clearTimeout(silence)
    silence = window.setTimeout(() => socket?.close(), SILENCE_MS)
  }

  function open(): void {
    window.clearTimeout(timer)
    const url = new URL('/api/v1/events', window.location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const mine = new WebSocket(url, secret === COOKIE ? [PROTOCOL] : [PROTOCOL, `bearer.${secret}`])
    socket = mine
    hear()
    mine.onopen = () => {
      attempts = 0
      update({ connection: 'open' })
      if (wasOpen) for (const listener of listeners) listener(undefined)
      wasOpen = true
    }
    mine.onmessage = ({ data }) => {
      hear()
      const event = JSON.parse(data as string) as Event
      take(event)
      for (const listener of listeners) listener(event)
    }
    mine.onclose = () => {
      if (socket !== mine || isClosed) return
      window.clearTimeout(silence)
      update({ connection: 'lost' })
      timer = window.setTimeout(tryAgain, RETRY_MS[Math.min(attempts++, RETRY_MS.length - 1)])
    }
  }

  /** A browser does not say why a WebSocket was refused; a request does, and a refused token is forgotten there. */
  function tryAgain(): void {
    call('/session').then(
      () => isClosed || open(),
      () => {
        if (isClosed) return
        window.clearTimeout(timer)
        timer = window.setTimeout(tryAgain, RETRY_MS[Math.min(attempts++, RETRY_MS.length - 1)])
      }
    )
  }

  function take(event: Event): void {
    if (event.type === 'peers') update({ peers: event.peers })
    else if (event.type === 'balance') update({ balance: event.balance })
    else if (event.type === 'stats') update({ stats: [...state.stats, event.stats].slice(-KEPT_STATS) })
    else if (event.type === 'progress') update({ progress: withProgress(state.progress, event.progress) })
  }

  if (isAllowed) open()
  return {
    state: () => state,
    subscribe(changed) {
      subscribers.add(changed)
      return () => subscribers.delete(changed)
    },
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    retry() {
      attempts = 0
      window.clearTimeout(timer)
      tryAgain()
    },
    close() {
      isClosed = true
      window.clearTimeout(timer)
      window.clearTimeout(silence)
      socket?.close()
    }
  }
}

function withProgress(all: ReadonlyMap<string, Progress>, progress: Progress): Map<string, Progress> {
  const next = new Map(all)
  next.delete(progress.job)
  next.set(progress.job, progress)
  for (const job of next.keys()) {
    if (next.size <= KEPT_PROGRESS) break
    next.delete(job)
  }
  return next
}

export const LiveContext = createContext<Live | undefined>(undefined)

export function useLiveSource(): Live {
  const live = useContext(LiveContext)
  if (live == null) throw new Error('useLive: outside of a LiveContext')
  return live
}

/** A part of what the node tells; the component draws again when this part changes. */
export function useLive<T>(select: (state: LiveState) => T): T {
  const live = useLiveSource()
  return useSyncExternalStore(live.subscribe, () => select(live.state()))
}

/** A report with the newer figures of its progress. */
export function withLive(job: JobReport, progress: Progress | undefined): JobReport {
  if (progress == null || job.finished != null || progress.done < job.done) return job
  const { done, total, retries, paid, state } = progress
  return { ...job, done, total, retries, paid, state }
}
