import { toHex } from '../core/codec.ts'
import type { Ballot, Reply } from '../core/paxos.ts'
import type { Roster } from '../core/roster.ts'
import { PolicyError } from '../errors.ts'
import { ALIVE_MS, MAX_PACKAGES } from '../messages.ts'
import { type Answer, type Slot, slotId, voteFor } from '../school/decide.ts'
import { type Envelope, readEnvelope } from './envelope.ts'
import type { MailStore } from './store.ts'

export interface MailboxInit {
  store: MailStore
  self: string
  roster(): Roster
  sign(domain: string, bytes: Uint8Array): Uint8Array
  /** Fetches what the roster has more, from whoever goes by it. */
  catchUp(peer: string, signal: AbortSignal): Promise<void>
  statementIn(value: Uint8Array): Parameters<Roster['check']>[0]
  quotaBytes(): number
  /** what is committed is on the disk */
  kept(): Promise<void>
  signal: AbortSignal
}
export type Mailbox = ReturnType<typeof createMailbox>

interface Follower {
  /** hex; undefined: all */
  addresses?: Map<string, number>
  dirty: Set<string>
  wake(): void
}

/** What a node does that the roster names as a mailbox. */
export function createMailbox(init: MailboxInit) {
  const { store, self, roster } = init
  const followers = new Set<Follower>()
  const ALL = ''

  function mustBeMailbox(at?: number): void {
    if (!roster().mailboxes(at).includes(self)) throw new PolicyError('this node keeps no mail of the school')
  }

  async function inSlot(
    slot: Slot,
    peer: string,
    signal: AbortSignal,
    work: (id: string) => Reply
  ): Promise<Answer> {
    if (roster().head < slot.at) await init.catchUp(peer, signal)
    if (roster().head < slot.at) throw new PolicyError(`the roster is not known here up to ${slot.at}`)
    mustBeMailbox(slot.at)
    return work(toHex(slotId(roster().school, slot))) as Answer
  }

  /** Envelopes as they come. Ends with the signal. */
  async function* follow(
    life: string,
    after: number,
    addresses: readonly (readonly [Uint8Array, number])[] | undefined,
    signal: AbortSignal
  ): AsyncGenerator<{ life: string; envelopes: [number, Uint8Array][] }> {
    const isSame = life === store.life
    const from = new Map(addresses?.map(([address, position]) => [toHex(address), isSame ? position : 0]))
    let all = isSame ? after : 0
    let woken = Promise.withResolvers<void>()
    const follower: Follower = {
      ...(addresses == null ? {} : { addresses: from }),
      dirty: new Set(addresses == null ? [ALL] : from.keys()),
      wake: () => woken.resolve()
    }
    followers.add(follower)
    const onAbort = (): void => woken.resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      yield { life: store.life, envelopes: [] }
      while (!signal.aborted) {
        for (const address of [...follower.dirty]) {
          follower.dirty.delete(address)
          const envelopes = address === ALL ? store.all(all) : store.at(address, from.get(address)!)
          if (signal.aborted) break
          if (envelopes.length === 0) continue
          // there may be more; the other addresses have their turn first
          follower.dirty.add(address)
          yield { life: store.life, envelopes }
          const [position] = envelopes.at(-1)!
          if (address === ALL) all = position
          else from.set(address, position)
        }
        if (follower.dirty.size > 0) continue
        const timer = setTimeout(() => woken.resolve(), ALIVE_MS)
        await woken.promise
        clearTimeout(timer)
        woken = Promise.withResolvers()
        if (follower.dirty.size === 0) yield { life: store.life, envelopes: [] }
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      followers.delete(follower)
    }
  }

  const isOne = (): boolean => roster().mailboxes().includes(self)

  async function put(read: readonly Envelope[]): Promise<'kept' | 'full'> {
    if (!store.put(read, init.quotaBytes())) return 'full'
    const addresses = new Set(read.map(({ address }) => toHex(address)))
    // they need not wait for the disk: who put it puts it again until it is there
    for (const follower of followers) {
      if (follower.addresses == null) follower.dirty.add(ALL)
      else for (const address of addresses) if (follower.addresses.has(address)) follower.dirty.add(address)
      if (follower.dirty.size > 0) follower.wake()
    }
    await init.kept()
    return 'kept'
  }

  return {
    store,
    isOne,
    follow,

    prepare: (slot: Slot, ballot: Ballot, peer: string, signal: AbortSignal): Promise<Answer> =>
      inSlot(slot, peer, signal, id => store.prepare(id, ballot)),

    accept: (
      slot: Slot,
      ballot: Ballot,
      value: Uint8Array,
      peer: string,
      signal: AbortSignal
    ): Promise<Answer> =>
      inSlot(slot, peer, signal, id => {
        const next = slot.key == null && slot.at === roster().head ? init.statementIn(value) : undefined
        // no mailbox helps to decide what nobody could follow
        if (next != null) roster().check(next)
        const reply = store.accept(id, ballot, value)
        if (reply.is !== 'vote') return reply
        const signature = init.sign('vote', voteFor(slotId(roster().school, slot), ballot, value))
        return { is: 'vote', signature } as never
      }),

    /** @throws {MalformedMessageError} */
    async put(envelopes: readonly Uint8Array[]): Promise<'kept' | 'full'> {
      mustBeMailbox()
      return await put(envelopes.map(readEnvelope))
    },
    /**
     * Keeps what somebody carried here, also where this node is no mailbox. Those that were not here; undefined: no room.
     *
     * @throws {MalformedMessageError}
     */
    async bring(envelopes: readonly Uint8Array[]): Promise<Envelope[] | undefined> {
      const fresh = envelopes.map(readEnvelope).filter(({ id }) => store.get(id) == null)
      return fresh.length > 0 && (await put(fresh)) === 'full' ? undefined : fresh
    },

    leavePackages: (device: string, packages: readonly Uint8Array[], last?: Uint8Array): number => {
      mustBeMailbox()
      return store.leave(device, packages, last, MAX_PACKAGES)
    },
    /** of which of them there are some */
    packagesOf: (devices: readonly string[]): string[] => {
      mustBeMailbox()
      return devices.filter(store.hasPackage)
    },
    takePackages: (devices: readonly string[]) => {
      mustBeMailbox()
      return store.take(devices)
    }
  }
}
