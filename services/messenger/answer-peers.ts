import { ForbiddenError, type MessageHandlers } from '../host/index.ts'
import type { Messenger } from './assemble.ts'
import { isEqual, toHex } from './core/codec.ts'
import type { Home } from './home/serve-person.ts'
import { inTime } from './mailbox/rates.ts'
import type { Messages } from './messages.ts'
import type { Pass } from './school/school.ts'

const PULL_MS = 8_000

/** What this node answers others of the school. */
export function answerPeers(
  node: () => Messenger,
  home: Home,
  log: (message: string, ...args: unknown[]) => void
): MessageHandlers<Messages> {
  /** @throws {ForbiddenError} another school, or nobody that its roster names */
  function admit(school: Uint8Array, peer: string, pass?: Pass): Messenger {
    const messenger = node()
    const { roster } = messenger.school
    if (roster == null || !isEqual(roster.school, school))
      throw new ForbiddenError('this node belongs to another school, or to none')
    if (!messenger.school.admits(peer, pass)) throw new ForbiddenError('this school is not for your node')
    return messenger
  }

  return {
    roster: ({ school, from, pass }, { peer }) => ({
      statements: admit(school, peer, pass).school.entries(from)
    }),

    async news({ school, head }, { peer }) {
      const { school: own } = node()
      // also of who is not in it yet: what he has is proved by the votes for it
      if (own.roster == null || !isEqual(own.roster.school, school) || head <= own.roster.head) return {}
      try {
        await own.pull(peer, AbortSignal.timeout(PULL_MS))
      } catch (error) {
        log('%s gives nothing of the roster: %s', peer, (error as Error).message)
      }
      return {}
    },

    pair({ school, ...request }, call) {
      const { pairing, school: own } = node()
      if (own.roster == null || !isEqual(own.roster.school, school))
        throw new ForbiddenError('this node belongs to another school, or to none')
      return pairing.answer(request, call)
    },

    prepare: async ({ school, slot, ballot, pass }, { peer, signal }) =>
      admit(school, peer, pass).mailbox.prepare(slot, ballot, peer, signal) as never,
    accept: async ({ school, slot, ballot, value, pass }, { peer, signal }) =>
      admit(school, peer, pass).mailbox.accept(slot, ballot, value, peer, signal) as never,

    async put({ school }, { peer, signal, received, send }) {
      for await (const envelopes of received) {
        const { rates, floods, deviceOn } = admit(school, peer)
        const onSlow = (): void => floods.note(deviceOn(peer) ?? peer)
        await inTime(rates, peer, envelopes.length, onSlow, signal)
        await send(await admit(school, peer).mailbox.put(envelopes))
      }
      return {}
    },

    async follow({ school, life, after, addresses }, { peer, signal, send }) {
      const { mailbox } = admit(school, peer)
      const isMailbox = node().school.known().mailboxes().includes(peer)
      if (addresses == null && !isMailbox) throw new ForbiddenError('all mail is for mailboxes only')
      for await (const item of mailbox.follow(life, after, addresses, signal)) {
        // who was removed hears nothing more
        admit(school, peer)
        await send(item)
      }
      return {}
    },

    async fetch({ school, ids }, { peer, send }) {
      const { mailbox, store } = admit(school, peer)
      for (const id of ids.map(toHex)) {
        const envelope = mailbox.store.get(id) ?? store.blob(id)
        if (envelope != null) await send(envelope)
      }
      return {}
    },

    leavePackages({ school, packages, last }, { peer }) {
      const { mailbox, deviceOn } = admit(school, peer)
      const device = deviceOn(peer)
      if (device == null) throw new ForbiddenError('there is no device on your node')
      return { left: mailbox.leavePackages(device, packages, last) }
    },
    takePackages: ({ school, devices }, { peer }) => ({
      packages: admit(school, peer).mailbox.takePackages(devices)
    }),

    sign: ({ school, is, group }, { peer }) => {
      const { presence, deviceOn } = admit(school, peer)
      const device = deviceOn(peer)
      if (device == null) throw new ForbiddenError('there is no device on your node')
      return { isHere: presence.hear(device, is, group == null ? undefined : toHex(group)) }
    },

    // whoever has some gets them also where it has lost its school
    async copiesKept(_, { peer }) {
      const { keptCopies, school } = node()
      return {
        room: school.admits(peer) ? await keptCopies.roomBytes() : 0,
        items: await keptCopies.list(peer)
      }
    },
    async keepCopy({ copy, kept }, { peer, received }) {
      const { keptCopies, school } = node()
      if (!school.admits(peer)) throw new ForbiddenError('this node keeps copies for its school only')
      await keptCopies.keepOnly(peer, kept)
      return { is: await keptCopies.take(peer, copy, received) }
    },
    async giveCopy({ sha256 }, { peer, send }) {
      for await (const part of node().keptCopies.give(peer, sha256)) await send(part)
      return {}
    },

    signIn({ school, ...person }, { peer }) {
      admit(school, peer)
      return home.signIn(person, peer)
    },
    signOut({ school, token }, { peer }) {
      admit(school, peer)
      home.signOut(token, peer)
      return {}
    },
    async ask({ school, ...asked }, call) {
      await home.ask(asked, call, () => admit(school, call.peer))
      return {}
    },
    async watch({ school, token }, { peer, signal, send }) {
      admit(school, peer)
      for await (const told of home.watch(token, peer, signal)) {
        admit(school, peer)
        await send(told)
      }
      return {}
    },

    fresh: ({ school, group }, { peer }) => admit(school, peer).sync.hear(toHex(group), peer),
    sync: ({ school, ...request }, { peer, send }) => admit(school, peer).sync.answer(request, peer, send)
  }
}
