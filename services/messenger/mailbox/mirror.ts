import { setTimeout as delay } from 'node:timers/promises'
import type { DeviceStore } from '../device/store.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import type { Mailbox } from './serve.ts'

const WAIT_MS = 5_000
const EVERYTHING = ''

/** A mailbox takes what the others have; on contact, and then as it comes. One line to each. */
export function createMirror(
  network: Network,
  school: School,
  mailbox: Mailbox,
  store: Pick<DeviceStore, 'cursor' | 'setCursor' | 'lifeOf'>,
  signal: AbortSignal
) {
  const lines = new Map<string, AbortController>()

  async function copy(peer: string, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const life = store.lifeOf(mirrored(peer))
      const after = store.cursor(mirrored(peer), life, EVERYTHING)
      try {
        const { items } = network.open(
          peer,
          'follow',
          { school: school.known().school, life, after },
          { signal: ended }
        )
        for await (const { life: now, envelopes } of items) {
          if (envelopes.length === 0) continue
          const is = await mailbox.put(envelopes.map(([, envelope]) => envelope))
          if (is === 'full') break
          store.setCursor(mirrored(peer), now, EVERYTHING, envelopes.at(-1)![0])
        }
      } catch {
        // it is away; asked again
      }
      await delay(WAIT_MS, undefined, { signal: ended }).catch(() => undefined)
    }
  }

  return {
    tend(): void {
      const others = mailbox.isOne()
        ? school
            .known()
            .mailboxes()
            .filter(peer => peer !== network.self)
        : []
      for (const [peer, end] of lines)
        if (!others.includes(peer)) {
          end.abort()
          lines.delete(peer)
        }
      for (const peer of others) {
        if (lines.has(peer)) continue
        const end = new AbortController()
        lines.set(peer, end)
        void copy(peer, AbortSignal.any([end.signal, signal]))
      }
    }
  }
}

/** Its cursor stands beside that of the device on this node. */
const mirrored = (peer: string): string => `mirror ${peer}`
