import { createHmac } from 'node:crypto'
import type { HostOf } from '../../host/index.ts'
import type { declaration } from '../declaration.ts'
import { MAX_ENTRY_BYTES, type SharedEntry, type Statement } from '../messages.ts'
import type { Keys } from '../provider/keys.ts'
import type { Cache, Kept } from '../store/cache.ts'
import { ANSWER, checkEntry, holdersOf, signedBytes } from './entry.ts'

const LATE_MS = 2_000

/** Namespace of answers that are shared. */
export const GROUP = 'group'

export interface GroupInit {
  host: Pick<
    HostOf<typeof declaration>,
    'config' | 'peers' | 'sign' | 'isSigned' | 'now' | 'signal' | 'degraded'
  >
  keys: Pick<Keys, 'read'>
  cache: Cache
}

export type GroupCache = ReturnType<typeof createGroupCache>

/**
 * Answers of the namespace `group`, kept by three nodes of those that have one secret. Without a secret, or without
 * others, it does nothing.
 */
export function createGroupCache({ host, keys, cache }: GroupInit) {
  const { peers, now } = host
  const others = host.config.groupPeers.filter(peer => peer !== peers.self)
  const isShared = host.config.groupSecret !== '' && others.length > 0
  const signers = isShared ? [peers.self, ...others] : []
  const looking = new Map<string, Promise<void>>()
  // what somebody signed who is not of the group any more counts no longer
  cache.keepSigners(signers)

  const holders = (key: Uint8Array): string[] => holdersOf(key, signers).filter(peer => peer !== peers.self)

  /** @throws what it is lacking */
  async function askOne(peer: string, key: Uint8Array): Promise<void> {
    // as long as somebody may wait for it, or it comes for the next
    const deadlineMs = Math.max(host.config.groupWaitMs, LATE_MS)
    const { entry } = await peers.ask(peer, 'cached', { key }, { signal: host.signal, deadlineMs })
    if (entry == null) throw new Error(`${peer} does not have it`)
    checkEntry(key, entry, { signers, isSigned: host.isSigned, now: now() })
    cache.takeShared(GROUP, key, entry)
  }

  async function lookUp(key: Uint8Array): Promise<void> {
    try {
      await Promise.any(holders(key).map(peer => askOne(peer, key)))
    } catch {
      // nobody has it, or says so: then the provider is asked
    }
  }

  return {
    /** Before anything else of the group: its key is that of all who have the secret. */
    async prepare(): Promise<void> {
      if (!isShared) return
      const secret = await keys.read(host.config.groupSecret)
      cache.useKey(GROUP, createHmac('sha256', secret).update('artel assistant group').digest())
    },

    /** Fetches the answer from those who keep it, where it comes soon; what comes later is there for the next. */
    async bring(key: Uint8Array): Promise<void> {
      if (!isShared) return
      const id = Buffer.from(key).toString('hex')
      const under = looking.get(id) ?? lookUp(key).finally(() => looking.delete(id))
      looking.set(id, under)
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, host.config.groupWaitMs)
      await Promise.race([under, late])
      clearTimeout(timer)
    },

    /** Signs an answer that was kept here, and has the others keep it. */
    async offer(key: Uint8Array, { sealed, expires }: Kept, from: Pick<Statement, 'provider' | 'model'>) {
      if (!isShared || sealed.length > MAX_ENTRY_BYTES) return
      const said = { ...from, signer: peers.self, created: now(), expires }
      const signature = host.sign(ANSWER, signedBytes(key, sealed, said))
      const entry: SharedEntry = { sealed, statement: { ...said, signature } }
      cache.putShared(GROUP, key, entry)
      const told = holders(key).map(peer => peers.ask(peer, 'share', { key, entry }, { signal: host.signal }))
      const failed = (await Promise.allSettled(told)).find(({ status }) => status === 'rejected')
      const { message } = (failed as PromiseRejectedResult | undefined)?.reason ?? {}
      if (!host.signal.aborted) host.degraded('cache of the group', message)
    },

    handlers: {
      cached: ({ key }: { key: Uint8Array }) => ({ entry: cache.shared(GROUP, key) }),
      /** @throws {RequestError} */
      share({ key, entry }: { key: Uint8Array; entry: SharedEntry }) {
        checkEntry(key, entry, { signers, isSigned: host.isSigned, now: now() })
        cache.takeShared(GROUP, key, entry)
        return {}
      }
    }
  }
}
