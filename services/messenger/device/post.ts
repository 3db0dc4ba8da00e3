import { setTimeout as delay } from 'node:timers/promises'
import { transact } from '../../host/index.ts'
import { fromHex, hashOf, toHex } from '../core/codec.ts'
import { MailboxFullError } from '../errors.ts'
import { type Envelope, inboxOf, inOnePage, putInto, readEnvelope } from '../mailbox/envelope.ts'
import { openLine } from '../mailbox/line.ts'
import type { Mailbox } from '../mailbox/serve.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import { transactLater } from '../store/database.ts'
import type { DeviceStore } from './store.ts'

const FIRST_WAIT_MS = 500
const LAST_WAIT_MS = 10_000
const MAX_ADDRESSES = 2_000
/** A line with nothing to carry for so long ends; its mailbox waits longer. */
const IDLE_MS = 20_000
const FULL = 'has no room for more'

export interface PostInit {
  /** own device */
  device: string
  store: DeviceStore
  school: School
  network: Network
  mailbox: Mailbox
  /** that this device brings to and gets from */
  mailboxes(): readonly string[]
  signal: AbortSignal
  /**
   * Reads envelopes of one address, as far as they are not seen yet; they are seen when this is through. `also` is written
   * together with what they bring.
   */
  read(address: string, envelopes: readonly Envelope[], also: () => void): Promise<void>
  /** what is committed is on the disk */
  kept(): Promise<void>
  /** an event is at a mailbox */
  onKept(event: string): void
  /** own events that no mailbox takes now */
  onStranded(events: readonly string[]): void
  /** no mailbox gives anything any more */
  onAlone(): void
  degraded(what: string, reason: string | undefined): void
  log(message: string, ...args: unknown[]): void
}
export type Post = ReturnType<typeof createPost>

/** Brings envelopes to the mailboxes and gets those that are for this device. */
export function createPost(init: PostInit) {
  const { device, store, school, network, mailbox, signal, log } = init
  const inbox = toHex(inboxOf(device))
  /** by mailbox */
  const lines = new Map<string, { end: AbortController; wake: () => void; refollow: () => void }>()

  /** whether each took what it was given the last time */
  const isTaking = new Map<string, boolean>()
  /** whether each gives what it has */
  const isGiving = new Map<string, boolean>()
  const isAlone = (): boolean => init.mailboxes().every(peer => isGiving.get(peer) === false)
  function lose(peer: string): void {
    const wasAlone = isAlone()
    isGiving.set(peer, false)
    if (isAlone() && !wasAlone) init.onAlone()
  }
  /** own events that no mailbox has, and nobody was told of */
  const untold = new Set<string>()

  function strand(): void {
    const isTaken = init.mailboxes().some(peer => isTaking.get(peer) !== false)
    if (isTaken || untold.size === 0) return
    const events = [...untold]
    untold.clear()
    init.onStranded(events)
  }

  /** Sends what the outbox has for a mailbox, and waits where it does not take it. */
  async function pump(
    peer: string,
    ended: AbortSignal,
    woken: (withinMs?: number) => Promise<void>
  ): Promise<void> {
    let waitMs = FIRST_WAIT_MS
    while (!ended.aborted) {
      if (store.out(peer).length === 0) {
        await woken()
        continue
      }
      try {
        await using line = openLine(peer, school.known().school, network, mailbox, ended)
        for (let rows = store.out(peer); rows.length > 0; rows = store.out(peer)) {
          // no key is used again, whatever happens to this machine
          await init.kept()
          const is = await line.put(rows.map(({ envelope }) => envelope))
          init.degraded(`mailbox ${peer}`, is === 'full' ? FULL : undefined)
          if (is === 'full') throw new MailboxFullError(FULL)
          transactLater(store.db, () => {
            for (const { n, event } of rows) {
              store.sent(n)
              if (event != null) store.setMark(event, 'kept')
            }
          })
          isTaking.set(peer, true)
          for (const { event } of rows)
            if (event != null) {
              untold.delete(event)
              init.onKept(event)
            }
          waitMs = FIRST_WAIT_MS
          if (store.out(peer).length === 0) await woken(IDLE_MS)
        }
        continue
      } catch (error) {
        if (ended.aborted) return
        log('%s takes nothing: %s', peer, (error as Error).message)
        isTaking.set(peer, false)
        strand()
      }
      await delay(waitMs, undefined, { signal: ended }).catch(() => undefined)
      waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
    }
  }

  /** Reads what comes at the addresses of this device, again and again. */
  async function follow(peer: string, ended: AbortSignal, again: () => AbortSignal): Promise<void> {
    let waitMs = FIRST_WAIT_MS
    while (!ended.aborted) {
      const restart = again()
      const end = AbortSignal.any([ended, restart])
      try {
        for await (const { life, envelopes } of items(peer, end)) {
          waitMs = FIRST_WAIT_MS
          isGiving.set(peer, true)
          const [position] = envelopes.at(-1) ?? []
          if (position == null) continue
          const pushed = envelopes.map(([, envelope]) => readEnvelope(envelope))
          // all of a push are of one address
          const address = toHex(pushed[0]!.address)
          const right = pushed.filter(each => toHex(each.address) === address)
          await init.read(address, right, () => void store.setCursor(peer, life, address, position))
        }
      } catch (error) {
        if (!end.aborted) log('%s gives nothing: %s', peer, (error as Error).message)
      }
      if (restart.aborted) continue
      lose(peer)
      await delay(waitMs, undefined, { signal: end }).catch(() => undefined)
      waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
    }
  }

  function items(peer: string, end: AbortSignal) {
    const life = store.lifeOf(peer)
    const addresses = [inbox, ...store.addresses().slice(-MAX_ADDRESSES + 1)].map(
      address => [fromHex(address), store.cursor(peer, life, address)] as [Uint8Array, number]
    )
    if (peer === network.self) return mailbox.follow(life, 0, addresses, end)
    const { school: id } = school.known()
    return network.open(peer, 'follow', { school: id, life, after: 0, addresses }, { signal: end }).items
  }

  /** A line to every mailbox that the roster names, to what somebody carried to this node, and to no other. */
  function tend(): void {
    const mailboxes = init.mailboxes()
    const kept = mailbox.store.usage().count > 0 ? [network.self] : []
    const wanted = new Set([...mailboxes, ...kept])
    for (const [peer, line] of lines)
      if (!wanted.has(peer)) {
        line.end.abort()
        lines.delete(peer)
      }
    store.keepMailboxes(mailboxes)
    for (const peer of wanted) {
      if (lines.has(peer)) continue
      const end = new AbortController()
      const ended = AbortSignal.any([end.signal, signal])
      let woken = Promise.withResolvers<void>()
      let restart = new AbortController()
      lines.set(peer, {
        end,
        wake: () => woken.resolve(),
        refollow() {
          const old = restart
          restart = new AbortController()
          old.abort()
        }
      })
      const onEnd = (): void => woken.resolve()
      ended.addEventListener('abort', onEnd, { once: true })
      const whenWoken = async (withinMs?: number): Promise<void> => {
        const timer = withinMs == null ? undefined : setTimeout(() => woken.resolve(), withinMs)
        await woken.promise
        clearTimeout(timer)
        if (!ended.aborted) woken = Promise.withResolvers()
      }
      const failed = (error: Error): void => init.degraded(`mailbox ${peer}`, error.message)
      pump(peer, ended, whenWoken).catch(failed)
      follow(peer, ended, () => restart.signal).catch(failed)
    }
  }

  return {
    tend,
    /** Whether no mailbox gives anything. */
    isAlone,
    /** There is something new in the outbox. */
    wake(): void {
      for (const { wake } of lines.values()) wake()
      strand()
    },
    /** There are new addresses. */
    refollow(): void {
      for (const { refollow } of lines.values()) refollow()
    },
    /** Into the outbox of every mailbox; inside the caller's transaction. Its id. */
    post(envelope: Uint8Array, event?: string): string {
      for (const peer of init.mailboxes()) store.post(peer, envelope, event)
      const id = toHex(hashOf(envelope))
      store.see(id)
      if (event != null) untold.add(event)
      return id
    },

    /** Brings these to a mailbox at once, and to the others when they answer. @throws {MailboxFullError} none takes them */
    async putNow(envelopes: readonly Uint8Array[]): Promise<void> {
      const refusals: string[] = []
      const mailboxes = init.mailboxes()
      for (const [i, peer] of mailboxes.entries()) {
        try {
          await using line = openLine(peer, school.known().school, network, mailbox, signal)
          for (let at = 0; at < envelopes.length; ) {
            const part = inOnePage(envelopes.slice(at), ({ length }) => length)
            if ((await line.put(part)) === 'full') throw new MailboxFullError(FULL)
            at += part.length
          }
          const others = mailboxes.filter((_, j) => j !== i)
          transact(store.db, () => {
            for (const other of others) for (const envelope of envelopes) store.post(other, envelope)
          })
          this.wake()
          return
        } catch (error) {
          refusals.push(`${peer}: ${(error as Error).message}`)
        }
      }
      throw new MailboxFullError(`no mailbox takes it: ${refusals.join('; ')}`)
    },

    /** The bytes of an envelope, from whichever mailbox or peer has it. */
    async fetch(id: string, peers: readonly string[] = []): Promise<Uint8Array | undefined> {
      const here = mailbox.store.get(id)
      if (here != null) return readEnvelope(here).bytes
      const { school: name } = school.known()
      for (const peer of [...school.known().mailboxes(), ...peers]) {
        try {
          const { items } = network.open(peer, 'fetch', { school: name, ids: [fromHex(id)] }, { signal })
          for await (const envelope of items)
            if (toHex(hashOf(envelope)) === id) return readEnvelope(envelope).bytes
        } catch (error) {
          log('%s does not give %s: %s', peer, id, (error as Error).message)
        }
      }
      return undefined
    },

    /**
     * Says at the old address that a group went on: what was decided for those who can open it, and that they look at once for
     * those who cannot, or are of an older program. Newcomers hear in their inboxes what was decided.
     */
    announce(
      address: string,
      decided: Uint8Array,
      newcomers: readonly (readonly [string, Uint8Array])[]
    ): void {
      transact(store.db, () => {
        this.post(putInto(fromHex(address), decision(decided)))
        this.post(putInto(fromHex(address), ANNOUNCED))
        for (const [device, sealed] of newcomers) this.post(putInto(inboxOf(device), decision(sealed)))
      })
      this.wake()
    }
  }
}

/** No message of MLS: look at the slots. */
export const ANNOUNCED = Uint8Array.of(0)
/** Nor is this, for those begin with their version, which is not 0: what was decided, sealed. */
const DECIDED = Uint8Array.of(0, 0)
const decision = (sealed: Uint8Array): Uint8Array => new Uint8Array(Buffer.concat([DECIDED, sealed]))
/** What was decided, if that is what it says. */
export const decisionIn = (bytes: Uint8Array): Uint8Array | undefined =>
  bytes[0] === 0 && bytes[1] === 0 ? bytes.subarray(DECIDED.length) : undefined
