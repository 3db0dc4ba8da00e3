import { readFile, writeFile } from 'node:fs/promises'
import { basename, isAbsolute } from 'node:path'
import { type Handlers, RequestError } from '../host/index.ts'
import type { administration } from './admin/declared.ts'
import type { Person } from './assemble-person.ts'
import type { carrying } from './carried/declared.ts'
import { fromHex, toHex } from './core/codec.ts'
import { MAX_FILE_BYTES } from './core/constants.ts'
import { cameInBy } from './core/roster.ts'
import { MAX_USERS, type User } from './core/statement.ts'
import type { declaration } from './declaration.ts'
import { pictureType } from './device/pictures.ts'
import { FilePathError, PolicyError, SchoolError, UnknownChatError } from './errors.ts'
import type { createCards } from './hosting/cards.ts'
import type { Hosting } from './hosting/hosting.ts'
import { mayChat, writerOf } from './people/acting.ts'
import { decodeList, planImport } from './people/import-people.ts'
import { createModeration } from './people/moderating.ts'
import { report } from './people/report.ts'
import { isDeviceCode } from './school/device-code.ts'
import { newSeed, signerOf, writeCode } from './school/invitation.ts'

const MAX_LIST_BYTES = 2 * 1024 * 1024

const textBody = (text: string, reply: string | undefined, confirm: boolean) => ({
  text,
  ...(reply == null ? {} : { reply: fromHex(reply) }),
  ...(confirm ? { confirm: true as const } : {})
})

/** What its owner and those whom he lets can do with the service. */
export function createOperations(
  node: Person,
  hosting: Pick<
    Hosting<unknown>,
    'add' | 'beginAnew' | 'checkRoom' | 'isLocked' | 'list' | 'openByCode' | 'remove'
  >,
  cards: ReturnType<typeof createCards>,
  /** a school was founded or joined */
  begin: () => Promise<void>
): Omit<Handlers<typeof declaration.operations>, keyof typeof administration | keyof typeof carrying> {
  const { school, pairing, groups, leaving, chats, store, view, network, mailbox, self } = node
  const roster = school.known

  function status() {
    const me = school.roster?.person(self)
    const wanted = pairing.wanted()
    const recovery = me == null ? undefined : roster().recovery(me.id)
    const quiet = node.quiet.current()
    return {
      ...(quiet == null ? {} : { quiet }),
      ...(school.roster == null
        ? {}
        : {
            school: { id: toHex(roster().school), name: roster().name, head: roster().head },
            policy: roster().policy()
          }),
      ...(me == null ? {} : { me: { id: me.id, name: me.name, role: me.role } }),
      device: self,
      mailboxes: [...(school.roster?.mailboxes() ?? [])],
      isMailbox: school.roster?.mailboxes().includes(network.self) ?? false,
      outbox: store.outCount(),
      mail: mailbox.store.usage(),
      ...(recovery == null
        ? {}
        : { recovery: { at: recovery.timeMs, device: roster().device(recovery.by)!.name } }),
      ...(wanted == null ? {} : { pairing: wanted })
    }
  }
  const userOf = (id: string): User => {
    const user = roster().user(id)
    if (user == null) throw new UnknownChatError(`there is no ${id} in this school`)
    return user
  }
  /** A code, and the key in it that lets a device of this person in. */
  async function newCode(user: string): Promise<{ key: string; code: string }> {
    const seed = newSeed()
    const { account: key } = await signerOf(seed)
    return {
      key,
      code: writeCode({ school: roster().school, user, seed, peers: [...roster().mailboxes()] })
    }
  }
  async function invited(user: Omit<User, 'invite'>): Promise<{ user: User; code: string }> {
    const { key, code } = await newCode(user.id)
    return { user: { ...user, invite: key }, code }
  }
  /** @throws {PolicyError} these people cannot have their home here */
  function checkHome(users: readonly string[]): void {
    if (!roster().mailboxes().includes(network.self))
      throw new PolicyError('homes are mailboxes, and this node is none: artel messenger mailboxes names it')
    const me = roster().person(self)?.id
    if (me != null && users.includes(me)) throw new PolicyError(`this node is that of ${me} already`)
    hosting.checkRoom(users)
    cards.check()
  }
  const chatOf = (grp: string) => {
    const found = view.chats().find(({ id }) => id === grp)
    if (found == null) throw new UnknownChatError(`there is no chat ${grp}`)
    return found
  }
  const groupOf = (message: string): string => {
    const found = store.event(message)
    if (found == null) throw new UnknownChatError(`there is no message ${message}`)
    return found.grp
  }
  async function fileAt(path: string, maxBytes: number): Promise<Uint8Array> {
    if (!isAbsolute(path))
      throw new FilePathError(`${path} is relative; write the whole path, beginning with /`)
    try {
      const bytes = await readFile(path)
      if (bytes.length > maxBytes)
        throw new FilePathError(`${path} has ${bytes.length} bytes; at most ${maxBytes} are taken`)
      return new Uint8Array(bytes)
    } catch (error) {
      if (error instanceof FilePathError) throw error
      throw new FilePathError(`${path} cannot be read: ${(error as Error).message}`)
    }
  }

  return {
    ...createModeration(node),
    status(_, { caller }) {
      const isLocked = hosting.isLocked(caller)
      const { me, recovery, quiet, ...rest } = status()
      // who that is, what is sealed knows
      if (isLocked === true) return { ...rest, isYours: false, home: 'locked' }
      return {
        ...rest,
        ...(me == null ? {} : { me }),
        ...(quiet == null ? {} : { quiet }),
        ...(recovery == null ? {} : { recovery }),
        isYours: mayChat(caller, me?.id),
        ...(isLocked == null ? {} : { home: 'open' })
      }
    },
    async found({ name, login, me, device }) {
      school.found(name, { id: login, name: me }, device)
      await begin()
      return status()
    },
    async join({ code, device }, { signal }) {
      if (isDeviceCode(code)) await pairing.join(code, device, begin)
      else {
        await school.join(code, device, signal)
        await begin()
      }
      return status()
    },

    users: () => ({
      items: roster()
        .users()
        .map(({ invite: _, ...user }) => ({
          ...user,
          devices: roster()
            .devicesOf(user.id)
            .map(({ id, name, peer }) => ({ id, name, peer }))
        }))
    }),
    async addUser({ user: id, name, role, classes, isDisabled }, { signal }) {
      const known = roster().user(id)
      const user = { id, name, role, classes, isDisabled }
      if (known != null || isDisabled) {
        await school.state('users', { users: [{ ...known, ...user }] }, signal)
        return {}
      }
      const { user: invitedUser, code } = await invited(user)
      await school.state('users', { users: [invitedUser] }, signal)
      return { invitation: { user: id, name, code } }
    },
    async invite({ user: id }, { signal }) {
      const { invite: _, ...known } = userOf(id)
      const { user, code } = await invited(known)
      await school.state('users', { users: [user] }, signal)
      return { user: id, name: user.name, code }
    },
    async importUsers({ path, csv, apply, hosted, address }, { signal }) {
      if ((path == null) === (csv == null))
        throw new RequestError('give the path of a list, or the list itself')
      const bytes = csv ?? (await fileAt(path!, MAX_LIST_BYTES))
      const lines = planImport(decodeList(bytes), id => roster().user(id))
      const invitations: { user: string; name: string; code: string }[] = []
      if (!apply) return { lines, isApplied: false, invitations, cards: [] }
      if (hosted) checkHome(lines.filter(({ action }) => action === 'create').map(({ id }) => id))
      const changes: User[] = []
      for (const { action, id, name, role, classes } of lines) {
        if (action !== 'create' && action !== 'change') continue
        const user = { id, name, role: role as User['role'], classes, isDisabled: false }
        if (action === 'change') changes.push({ ...userOf(id), ...user })
        else {
          const { user: made, code } = await invited(user)
          changes.push(made)
          invitations.push({ user: id, name, code })
        }
      }
      for (let at = 0; at < changes.length; at += MAX_USERS)
        await school.state('users', { users: changes.slice(at, at + MAX_USERS) }, signal)
      if (!hosted) return { lines, isApplied: true, invitations, cards: [] }
      for (const { user, code } of invitations) hosting.add(user, code)
      const made = cards.of(
        invitations.map(({ user: id, name }) => ({ id, name })),
        address
      )
      return { lines, isApplied: true, invitations: [], cards: made }
    },
    async hostUser({ user: id, second, address }, { signal }) {
      const { invite: _, ...known } = userOf(id)
      checkHome([id])
      if (second) hosting.add(id, null)
      else {
        const { user, code } = await invited(known)
        await school.state('users', { users: [user] }, signal)
        hosting.add(id, code)
      }
      const [card] = cards.of([known], address)
      return { user: id, isInvited: !second, isOpen: false, ...(card == null ? {} : { card }) }
    },
    hosted: () => ({ items: hosting.list() }),
    async unhostUser({ user }) {
      await hosting.remove(user)
      return {}
    },
    joinHome() {
      throw new PolicyError('this is for who has his home here; a computer of yours comes in by join')
    },
    async openHome({ code }, { caller }) {
      await hosting.openByCode(caller, code)
      return {}
    },
    async beginAnew(_, { caller }) {
      await hosting.beginAnew(caller)
      return {}
    },
    addDevice: () => pairing.offer(),
    confirmDevice: ({ digits }, { signal }) => pairing.confirm(digits, signal),
    async makeRecovery(_, { signal }) {
      const me = roster().person(self)
      if (me == null) throw new SchoolError('this device does not count in the school any more')
      const { key, code } = await newCode(me.id)
      await school.state('recovery', { key }, signal)
      return { code }
    },
    async revoke({ device, all = false }, { signal }) {
      if (all && device === self)
        throw new RequestError(
          'what came in by this device can only be let go of from another; give --all there'
        )
      const revoked: string[] = []
      const refused: { device: string; reason: string }[] = []
      let first: unknown
      const tried = new Set<string>()
      const next = (): string | undefined =>
        all ? cameInBy(roster(), device, self).find(id => !tried.has(id)) : undefined
      // one that was revoked before may have let in others that do; each may let in one more until it is its turn
      let each = all && roster().device(device)?.isRevoked === true ? next() : device
      for (; each != null; each = next()) {
        tried.add(each)
        try {
          await school.state('revoke', { device: each }, signal)
          revoked.push(each)
        } catch (error) {
          // what is refused of one keeps none of the others
          refused.push({ device: each, reason: (error as Error).message })
          first ??= error
        }
      }
      if (revoked.length === 0 && first != null) throw first
      return { revoked, refused }
    },
    async setMailboxes({ peers }, { signal }) {
      if (new Set(peers).size !== peers.length) throw new RequestError('a mailbox is named twice')
      await school.state('mailboxes', { mailboxes: peers }, signal)
      return status()
    },
    async setPolicy(changes, { signal }) {
      const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
      await school.state('policy', { ...roster().policy(), ...given }, signal)
      return roster().policy()
    },

    groups: () => ({ items: school.roster == null ? [] : view.chats() }),
    async createGroup({ title, users, classes, history }) {
      const me = roster().person(self)
      if (me == null) throw new SchoolError('this device does not count in the school any more')
      const inClasses = roster()
        .users()
        .filter(user => !user.isDisabled && user.classes.some(each => classes.includes(each)))
        .map(({ id }) => id)
      const all = [...new Set([me.id, ...users.map(id => userOf(id).id), ...inClasses])]
      return { id: await groups.create(all, title, history) }
    },
    async changeGroup({ group, add, remove, title }) {
      for (const id of add) userOf(id)
      await groups.change(group, now => ({
        ...now,
        title: title ?? now.title,
        users: [...new Set([...groups.stillIn(group, now.users), ...add])].filter(id => !remove.includes(id))
      }))
      return chatOf(group)
    },

    async leaveGroup({ group }) {
      // once
      if (!leaving.hasGone(group)) {
        leaving.check(group, groups.current(group).newest.users)
        await chats.say(group, 'leave', {})
      }
      return chatOf(group)
    },

    async send({ group, text, reply, confirm, key }, { caller }) {
      const body = textBody(text, reply, confirm)
      return {
        id: await chats.say(group, 'text', body, key == null ? undefined : `${writerOf(caller)} ${key}`)
      }
    },
    async sendLater({ group, text, reply, confirm, key }, { caller }) {
      groups.current(group)
      return node.later.write(
        group,
        textBody(text, reply, confirm),
        key == null ? undefined : `${writerOf(caller)} ${key}`
      )
    },
    later: () => ({ items: node.later.list() }),
    dropLater({ n }) {
      if (!node.later.drop(n)) throw new UnknownChatError(`nothing that waits is ${n}`)
      return {}
    },
    messages({ group, limit, beforeAt, beforeId }) {
      groups.current(group)
      const before = beforeAt == null ? undefined : { at: beforeAt, id: beforeId ?? '' }
      return { items: view.page(group, limit, before) }
    },
    markRead({ group, at }) {
      groups.current(group)
      node.setReadMs(group, at)
      return {}
    },
    edit: async ({ message, text }) => ({
      id: await chats.say(groupOf(message), 'edit', { of: fromHex(message), text })
    }),
    async delete({ message }) {
      const kind = store.event(message)?.event.kind
      if (kind === 'silence') throw new PolicyError('a silence is not deleted; lift it')
      if (kind === 'leave')
        throw new PolicyError('that somebody has left is not deleted; add him, and he is in again')
      const id = await chats.remove(groupOf(message), message)
      if (id == null) throw new UnknownChatError(`there is no message ${message}`)
      return { id }
    },
    react: async ({ message, with: sign }) => ({
      id: await chats.say(groupOf(message), 'react', { of: fromHex(message), with: sign })
    }),
    async confirm({ message }) {
      const grp = groupOf(message)
      const { body, device } = store.event(message)!.event
      if (!('confirm' in body)) throw new PolicyError('nobody asks to confirm this message')
      const own = roster().person(self)?.id
      if (roster().device(device)?.user === own) throw new PolicyError('the others confirm your message')
      const isDone = store
        .about(message)
        .some(each => each.kind === 'confirm' && roster().device(each.device)?.user === own)
      if (!isDone) await chats.say(grp, 'confirm', { of: fromHex(message) })
      return {}
    },
    presence({ group }) {
      const { users } = groups.current(group).newest
      const others = users.filter(id => id !== roster().person(self)?.id)
      const people = others.map(id => ({ id, name: roster().user(id)?.name ?? id }))
      return node.presence.of(group, people)
    },
    setPresence({ is, group }) {
      if (is === 'typing' && group == null) throw new RequestError('say in which chat you are writing')
      if (group != null) groups.current(group)
      node.presence.say(is, group)
      return {}
    },
    search: async ({ text, limit }) => ({ items: await view.search(text, limit) }),

    async sendFile({ group, path, name }) {
      groups.current(group)
      const content = await fileAt(path, MAX_FILE_BYTES)
      const called = (name ?? basename(path)).replaceAll(/\p{Cc}/gu, ' ').slice(0, 100)
      return { id: await chats.sendFile(group, called, content) }
    },
    async addFile({ group, name, bytes }) {
      groups.current(group)
      return { id: await chats.sendFile(group, name, bytes) }
    },
    async file({ message }) {
      const { name, bytes } = await chats.readFile(message)
      const picture = pictureType(bytes)
      return { name, bytes, ...(picture == null ? {} : { picture }) }
    },
    report: ({ message, reason }) => report(node, message, reason),
    async saveFile({ message, path }) {
      if (!isAbsolute(path))
        throw new FilePathError(`${path} is relative; write the whole path, beginning with /`)
      const { name, bytes } = await chats.readFile(message)
      try {
        await writeFile(path, bytes, { flag: 'wx' })
      } catch (error) {
        throw new FilePathError(`${path} cannot be written: ${(error as Error).message}`)
      }
      return { name, size: bytes.length }
    }
  }
}
