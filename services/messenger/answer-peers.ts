import { ForbiddenError, type MessageHandlers } from '../host/index.ts'
import type { Messenger } from './assemble.ts'
import type { Person } from './assemble-person.ts'
import { isEqual, toHex } from './core/codec.ts'
import type { Home } from './home/serve-person.ts'
import { inTime } from './mailbox/rates.ts'
import type { Messages } from './messages.ts'
import type { Pass } from './school/school.ts'

const PULL_MS = 8_000

/** What this node answers others of the school. */
export function answerPeers(
  node: () => Messenger,
  /** whose devices are open on it, its owner's first */
  people: () => Person[],
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

  /** Devices that are open here and in a chat, but the one that asks. */
  const membersHere = (grp: string, asks: string | undefined): Person[] =>
    people().filter(
      ({ self, store }) => self !== asks && store.generations(grp).at(-1)?.devices.includes(self) === true
    )

  type Asked = { device?: string | undefined; of?: string | undefined; group: Uint8Array }
  /** Of the device here that is asked, or of another in the group. */
  function syncOf(school: Uint8Array, { device, of, group }: Asked, peer: string): Person['sync'] {
    const own = admit(school, peer)
    const members = membersHere(toHex(group), device)
    return (members.find(({ self }) => self === of) ?? members[0] ?? own).sync
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

    pair({ school, by, ...request }, call) {
      const { pairing } = people().find(({ self }) => self === by) ?? node()
      const { school: own } = node()
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
      const { mailbox } = admit(school, peer)
      for (const id of ids.map(toHex)) {
        const kept = [
          () => mailbox.store.get(id),
          ...people().map(
            ({ store }) =>
              () =>
                store.blob(id)
          )
        ]
        for (const look of kept) {
          const envelope = look()
          if (envelope == null) continue
          await send(envelope)
          break
        }
      }
      return {}
    },

    leavePackages({ school, device: of, packages, last }, { peer }) {
      const { mailbox, deviceOn } = admit(school, peer)
      const device = deviceOn(peer, of)
      if (device == null) throw new ForbiddenError('there is no device on your node')
      return { left: mailbox.leavePackages(device, packages, last) }
    },
    takePackages({ school, devices, isLook }, { peer }) {
      const { mailbox } = admit(school, peer)
      return isLook
        ? { packages: [], have: mailbox.packagesOf(devices) }
        : { packages: mailbox.takePackages(devices) }
    },

    sign: ({ school, device: of, is, group }, { peer }) => {
      const { self, deviceOn } = admit(school, peer)
      const device = deviceOn(peer, of)
      if (device == null) throw new ForbiddenError('there is no device on your node')
      const grp = group == null ? undefined : toHex(group)
      const here = people().flatMap(each =>
        each.self !== device && each.presence.hear(device, is, grp) ? [each.self] : []
      )
      return { isHere: here.includes(self), here }
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

    async fresh({ school, device, group }, { peer }) {
      const own = admit(school, peer)
      const grp = toHex(group)
      const members = membersHere(grp, device)
      const [first] = await Promise.all(
        (members.length === 0 ? [own] : members).map(({ sync }) => sync.hear(grp, peer, device))
      )
      return first!
    },
    async gone({ school, ...request }, { peer, send }) {
      await syncOf(school, request, peer).giveGone(request, peer, send)
      return {}
    },
    sync: ({ school, ...request }, { peer, send }) =>
      syncOf(school, request, peer).answer(request, peer, send)
  }
}
