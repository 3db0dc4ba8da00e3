import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import { MalformedMessageError, PolicyError } from '../errors.ts'
import {
  checkSignature,
  count,
  hash32,
  hashOf,
  isEqual,
  keyName,
  NO_HASH,
  pack,
  type Signed,
  signAs,
  time,
  unpack
} from './codec.ts'
import { type Head, headSchema } from './event.ts'
import type { Roster } from './roster.ts'
import { title, type User, userId } from './statement.ts'

/*
 * A generation of a group: who is in it from here on. Each is a fresh MLS group, and has one successor, decided once.
 */

export const MAX_DEVICES = 250
export const MAX_GENERATION_BYTES = 64 * 1024

const about = z.object({
  title: z.string().max(100),
  /** what newcomers get of what was said before */
  history: z.enum(['all', 'joining']),
  /** the people in it, and their devices; who has none yet is added when he has one */
  users: z.array(userId).min(1).max(MAX_DEVICES),
  devices: z.array(keyName).min(1).max(MAX_DEVICES),
  /** newest events that its author knew; what those who are left out write after them does not count */
  heads: z.array(headSchema).max(4 * MAX_DEVICES)
})

export interface Generation extends z.output<typeof about> {
  group: Uint8Array
  /** from 0 */
  g: number
  /** hash of the generation before; zeros for the first */
  prev: Uint8Array
  by: string
  /** position of the roster that it goes by; its mailboxes decide on the successor */
  roster: number
  timeMs: number
  /** hash of this generation */
  hash: Uint8Array
}

const tuple = z.tuple([z.literal(1), hash32, count, hash32, keyName, count, time, about])

export function signGeneration(signer: Signer, generation: Omit<Generation, 'hash'>): Signed {
  const { group, g, prev, by, roster, timeMs, title, history, users, devices, heads } = generation
  return signAs(
    signer,
    'generation',
    pack([
      1,
      g === 0 ? NO_HASH : group,
      g,
      prev,
      by,
      roster,
      timeMs,
      { title, history, users, devices, heads }
    ])
  )
}

/** @throws {MalformedMessageError} also where its author did not sign it */
export function readGeneration(signed: Signed): Generation {
  const [, named, g, prev, by, roster, timeMs, rest] = unpack(
    tuple,
    signed.bytes,
    MAX_GENERATION_BYTES,
    'a generation'
  )
  checkSignature(by, 'generation', signed)
  if (rest.title !== '' && !title.safeParse(rest.title).success)
    throw new MalformedMessageError('the title of a group has control characters')
  const isTwice = (names: readonly string[]): boolean => new Set(names).size !== names.length
  if (isTwice(rest.devices) || isTwice(rest.users) || !rest.devices.includes(by))
    throw new MalformedMessageError('a generation names its author, and nobody twice')
  const hash = hashOf(signed.bytes)
  // a group is named by its beginning
  return { group: g === 0 ? hash : named, g, prev, by, roster, timeMs, ...rest, hash }
}

/** People of a generation, as the roster was then. @throws {PolicyError} one, or a device of his, did not count then */
export function peopleOf(
  { users, devices, roster: at }: Pick<Generation, 'users' | 'devices' | 'roster'>,
  roster: Roster
): User[] {
  const people = users.map(id => {
    const user = roster.user(id, at)
    if (user == null || user.isDisabled) throw new PolicyError(`there is no ${id} in this school`)
    return user
  })
  for (const device of devices) {
    const user = roster.person(device, at)
    if (user == null || !users.includes(user.id))
      throw new PolicyError(`a device of the chat is nobody's who is in it`)
  }
  return people
}

/** Whether these people may write to each other. */
export const mayMeet = (people: readonly User[], roster: Roster, at?: number): boolean =>
  roster.policy(at).pupilsToPupils || people.length === 1 || people.some(({ role }) => role !== 'pupil')

/**
 * Who of these people has gone, of those who said so, in that order: each as long as those who stay may be a chat, and
 * go on without him. Whoever knows the same says the same, also where all went at once.
 */
export function goneOf(
  users: readonly string[],
  said: readonly string[],
  roster: Roster
): ReadonlySet<string> {
  const { pupilGroups } = roster.policy()
  const gone = new Set<string>()
  for (const user of said) {
    const rest = users
      .filter(id => id !== user && !gone.has(id))
      .flatMap(id => roster.user(id) ?? [])
      .filter(({ isDisabled }) => !isDisabled)
    const mayGoOn = pupilGroups ? rest.length > 0 : rest.some(({ role }) => role !== 'pupil')
    if (mayGoOn && mayMeet(rest, roster)) gone.add(user)
  }
  return gone
}

/** @throws {PolicyError} such a group may not be */
export function checkFirst(generation: Generation, roster: Roster): void {
  const { by, roster: at, prev, heads } = generation
  const people = peopleOf(generation, roster)
  const author = roster.person(by, at)!
  if (!isEqual(prev, NO_HASH) || heads.length > 0)
    throw new MalformedMessageError('the first generation has nothing before it')
  if (!mayMeet(people, roster, at)) throw new PolicyError('pupils do not write to each other in this school')
  if (author.role === 'pupil' && people.length > 2 && !roster.policy(at).pupilGroups)
    throw new PolicyError('pupils do not make groups in this school')
}

/**
 * Whether `next` may follow `before`, whoever won the slot.
 *
 * @throws {PolicyError} its author may not change the group so
 * @throws {MalformedMessageError} it does not follow
 */
export function checkSuccessor(before: Generation, next: Generation, roster: Roster): void {
  if (!isEqual(next.group, before.group) || next.g !== before.g + 1 || !isEqual(next.prev, before.hash))
    throw new MalformedMessageError(`generation ${next.g} does not follow ${before.g}`)
  if (!before.devices.includes(next.by)) throw new PolicyError('its author was not in the group')
  if (next.roster < before.roster) throw new MalformedMessageError('a generation goes back in the roster')
  const known = new Map(next.heads.map(([device, seq]) => [device, seq]))
  if (before.heads.some(([device, seq]) => (known.get(device) ?? -1) < seq))
    throw new MalformedMessageError('a generation forgets events')
  const people = peopleOf(next, roster)
  const author = roster.person(next.by, next.roster)!
  const isEnabled = (id: string): boolean => roster.user(id, next.roster)?.isDisabled === false
  const kept = before.users.filter(id => next.users.includes(id))
  const isDropped = (device: string): boolean => {
    const user = roster.person(device, next.roster)
    return user != null && next.users.includes(user.id) && !next.devices.includes(device)
  }
  if (before.devices.some(isDropped)) throw new PolicyError('a generation leaves out a device of who stays')
  const isChanged =
    kept.length < next.users.length ||
    before.users.some(id => !kept.includes(id) && isEnabled(id)) ||
    next.title !== before.title ||
    next.history !== before.history
  if (isChanged && author.role === 'pupil' && !roster.policy(next.roster).pupilGroups)
    throw new PolicyError('pupils do not change groups in this school')
  if (!mayMeet(people, roster, next.roster))
    throw new PolicyError('pupils do not write to each other in this school')
}

/** Whether a device's event with this number counts, as far as these generations say. */
export function counts(generations: readonly Generation[], device: string, seq: number): boolean {
  return generations.some(({ devices, heads }, i) => {
    const next = generations[i + 1]
    const isIn = devices.includes(device) && seq > headOf(heads, device)
    return isIn && (next == null || next.devices.includes(device) || seq <= headOf(next.heads, device))
  })
}

/** number of the newest event; -1 where there is none */
export const headOf = (heads: readonly Head[], device: string): number =>
  heads.find(([each]) => each === device)?.[1] ?? -1

/**
 * Newest events that are not for a device: of what was said before it came, newcomers see what their chat says. A device
 * that another of its person let in has what that one has; one that an invitation let in beside others of its person, or
 * in their place, has what follows: who makes invitations does not read by them what was said before.
 */
export function cutOf(generations: readonly Generation[], device: string, roster: Roster): readonly Head[] {
  const at = generations.findLastIndex(
    (each, i) => each.devices.includes(device) && generations[i - 1]?.devices.includes(device) !== true
  )
  const first = generations[at]
  if (first == null) return []
  const { user, vouchedBy } = roster.device(device) ?? {}
  const before = generations.slice(0, at)
  if (vouchedBy != null && before.at(-1)?.devices.includes(vouchedBy) === true)
    return cutOf(before, vouchedBy, roster)
  const isAnother = before.some(({ devices }) => devices.some(each => roster.device(each)?.user === user))
  return first.history === 'all' && !isAnother ? [] : first.heads
}
