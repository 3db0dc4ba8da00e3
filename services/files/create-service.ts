import { isAbsolute } from 'node:path'
import { admits, type HostOf, PeerError, type ServiceOf } from '../host/index.ts'
import { assemble } from './assemble.ts'
import type { Settings } from './context.ts'
import type { Progress } from './contract.ts'
import type { declaration } from './declaration.ts'
import { answerBytes, answerUnchanged, isUnchanged, readRange } from './download.ts'
import { FilePathError } from './errors.ts'
import type { Peers } from './messages.ts'
import { MIGRATIONS } from './schema.ts'

type Declared = typeof declaration

const MB = 1_000_000
const TICK_MS = 1_000
const POLL_MS = 1_000
/** Found within this, or the next round finds them. */
const FIND_MS = 3_000

/** The service `files` over what its host gives. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const node = await assemble({
    folder: host.folder,
    db: host.database(MIGRATIONS),
    peers: peersOf(host),
    settings: () => settingsOf(host.config),
    now: host.now,
    signal: host.signal,
    log: host.log,
    tell: {
      transfers: transfers => host.tell('transfers', { transfers }),
      changed: cid => host.tell('changed', { cid })
    }
  })
  const { own } = node

  return {
    api: own,

    operations: {
      add: ({ path, ...options }, call) => own.addPath(absolute(path), { ...options, ...listen(call) }),
      get: ({ file, path, version }, call) => own.save(file, absolute(path), { version, ...listen(call) }),
      upload: (options, call) => own.add(call.body, { ...options, ...listen(call) }),

      async download({ file, path, version, preview, range: header, ifNoneMatch }, { signal }) {
        const { cid, size } = await own.stat(file, { path, version, signal })
        if (isUnchanged(ifNoneMatch, cid)) return answerUnchanged(cid)
        const range = readRange(header, size)
        const { bytes } = await own.read(cid, { range })
        return answerBytes({
          cid,
          size,
          range,
          chunks: bytes,
          name: path?.at(-1) ?? own.nameOf(file),
          isPreview: preview === true
        })
      },

      list: page => own.list(page),
      info: ({ file }) => own.info(file),
      versions: ({ name }) => ({ items: own.versions(name) }),
      entries: ({ file, ...options }, { signal }) => own.folder(file, { ...options, signal }),
      pin: ({ file, replicas }, call) => own.pin(file, { replicas, ...listen(call) }),

      async unpin({ file }) {
        await own.unpin(file)
        return {}
      },

      status() {
        const { quotaBytes, lending } = settingsOf(host.config)
        return {
          usage: node.usage(),
          quota: { own: quotaBytes, lent: lending.total },
          transfers: node.transfers()
        }
      }
    },

    messages: {
      has: (request, { peer }) => node.answer(peer, 'has', request),
      hold: (request, { peer }) => node.answer(peer, 'hold', request),
      prove: (request, { peer }) => node.answer(peer, 'prove', request),
      release: (request, { peer }) => node.answer(peer, 'release', request),
      async blocks({ cids }, call) {
        for await (const bytes of node.blocks(call.peer, cids)) await call.send(bytes)
        return {}
      }
    },

    start() {
      host.announce(true)
      host.repeat('copies', TICK_MS, () => node.tick())
      void node.resume().catch((error: Error) => host.degraded('adding', error.message))
    },

    stop: () => node.stop()
  }
}

function settingsOf(config: HostOf<Declared>['config']): Settings {
  return {
    quotaBytes: config.quotaMb * MB,
    maxSize: config.largestMb * MB,
    replicas: config.replicas,
    giveAtOnce: config.giveAtOnce,
    lending: {
      total: config.lendMb * MB,
      perPeer: config.lendPerPeerMb * MB,
      lendsTo: peer => admits('allowed', peer, config)
    },
    policy: {
      graceMs: config.graceSeconds * 1000,
      checkMs: config.checkSeconds * 1000,
      stallMs: config.graceSeconds * 1000,
      pollMs: POLL_MS
    }
  }
}

function peersOf({ peers }: HostOf<Declared>): Peers {
  return {
    find: ({ signal }) => peers.find({ signal, deadlineMs: FIND_MS }),
    async ask(peer, kind, request, options) {
      try {
        return (await peers.ask(peer, kind, request as never, options)) as never
      } catch (error) {
        // its host answers for it that this node is not among those that it lends to
        if (kind !== 'hold' || !(error instanceof PeerError)) throw error
        return { is: 'refused', bytes: 0, why: error.message } as never
      }
    },
    async *blocks(peer, cids, options) {
      const { items, answer } = peers.open(peer, 'blocks', { cids: [...cids] }, options)
      yield* items
      await answer
    }
  }
}

/** Progress as an operation tells it: the newest, as fast as the caller takes it. */
function listen(call: { signal: AbortSignal; send(progress: Progress): Promise<void> }) {
  let newest: Progress | undefined
  let isSending = false
  async function send(): Promise<void> {
    if (isSending) return
    isSending = true
    try {
      while (newest != null) {
        const progress = newest
        newest = undefined
        await call.send(progress)
      }
    } catch {
      // a caller that has gone is told by the signal
    } finally {
      isSending = false
    }
  }
  return {
    signal: call.signal,
    onProgress(progress: Progress): void {
      newest = progress
      void send()
    }
  }
}

/** The node does not know where its caller stands. */
function absolute(path: string): string {
  if (isAbsolute(path)) return path
  throw new FilePathError(`${path} is relative; write the whole path, beginning with /`)
}
