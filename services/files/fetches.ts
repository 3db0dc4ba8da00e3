import { CID } from 'multiformats/cid'
import { raceSignal } from 'race-signal'
import type { Context } from './context.ts'
import type { Progress, ProgressOptions } from './contract.ts'
import { BlockMissingError } from './errors.ts'
import { fetchFrom, findSources } from './fetch.ts'
import { pull } from './pull.ts'
import { measure } from './save.ts'
import type { Root } from './store.ts'

interface Running {
  done: Promise<void>
  controller: AbortController
  readers: Set<ProgressOptions>
}

/** Getting files from others, for the owner and for peers whose files are held. */
export function createFetches({
  store,
  files,
  room,
  peers,
  transfers,
  settings,
  changed,
  now,
  signal,
  log
}: Context) {
  const running = new Map<number, Running>()

  async function copy(
    root: Root,
    sources: readonly string[],
    options: {
      maxCost: number
      room(bytes: number): Promise<void>
      onBlock?(bytes: number): void
      signal: AbortSignal
    }
  ): Promise<void> {
    const letGo = store.keep(root.id)
    try {
      const fetch = fetchFrom({
        peers,
        sources,
        again: until => findSources(peers, root.cid, until),
        laterMs: settings().policy.pollMs,
        log
      })
      const type = await pull({ store, files }, { root, fetch, maxSize: settings().maxSize, ...options })
      store.finish(root.id, { cid: root.cid, type, size: root.size }, now())
      changed(root.cid)
    } finally {
      letGo()
    }
  }

  function start(root: Root): Running {
    const controller = new AbortController()
    const stop = AbortSignal.any([signal, controller.signal])
    const readers = new Set<ProgressOptions>()
    const tell = (progress: Progress): void => {
      for (const { onProgress } of readers) onProgress?.(progress)
    }
    const done = transfers.show({ what: 'fetch', file: root.cid }, tell, async grow => {
      const sources = await findSources(peers, root.cid, stop)
      await copy(root, sources, {
        maxCost: Number.POSITIVE_INFINITY,
        room: room.forOwn,
        onBlock: grow,
        signal: stop
      })
    })
    const forget = (): void => void running.delete(root.id)
    done.then(forget, forget)
    const started = { done, controller, readers }
    running.set(root.id, started)
    return started
  }

  /** One fetch serves all who wait for it, and ends with the last of them. */
  async function whole(root: Root, options: ProgressOptions): Promise<void> {
    const fetch = running.get(root.id) ?? start(root)
    fetch.readers.add(options)
    try {
      await raceSignal(fetch.done, options.signal)
    } finally {
      fetch.readers.delete(options)
      if (fetch.readers.size === 0) fetch.controller.abort()
    }
  }

  return {
    /** All of it is here. Throws BlockMissingError, DagError, QuotaError, DiskFullError. */
    async fetch(cid: string, options: ProgressOptions = {}): Promise<Root> {
      const root = store.open(cid, now())
      const letGo = store.keep(root.id)
      try {
        if (!root.isWhole) await whole(root, options)
        const { type, size } = store.rootById(root.id)!
        if (size > 0) return store.rootById(root.id)!
        // what is held for others was never measured
        const { bytes } = await measure(files.get, CID.parse(cid), settings().maxSize)
        return store.finish(root.id, { cid, type, size: bytes }, now())
      } finally {
        letGo()
      }
    },

    /** For a peer, and from it; from others where it lacks something. */
    async copyFor(rootId: number, peer: string, maxCost: number): Promise<void> {
      const root = store.rootById(rootId)!
      const options = { maxCost, room: room.onDisk, signal }
      try {
        await copy(root, [peer], options)
      } catch (error) {
        if (!(error instanceof BlockMissingError)) throw error
        await copy(root, await findSources(peers, root.cid, signal), options)
      }
    },

    /** After the end of the service: all that ran has ended. */
    async stop(): Promise<void> {
      await Promise.allSettled([...running.values()].map(({ done }) => done))
    }
  }
}
