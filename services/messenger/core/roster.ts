import { isSignedBy } from '../../../ledger/index.ts'
import { MalformedMessageError, PolicyError } from '../errors.ts'
import { isEqual, type Signed } from './codec.ts'
import { createHistory } from './history.ts'
import {
  type Body,
  consentFor,
  MAX_OWN_DEVICES,
  MAX_RECOVERIES,
  MAX_VOUCHED,
  type Policy,
  readStatement,
  type Statement,
  schoolOf,
  UNFOUNDED,
  type User,
  vouchFor
} from './statement.ts'

export interface Device {
  id: string
  user: string
  /** the node that it is on */
  peer: string
  name: string
  isRevoked: boolean
  /** the device of the same person that let it in, or made the recovery code that did; none: an invitation, or the founding */
  vouchedBy?: string
}

export interface Recovery {
  key: string
  by: string
  timeMs: number
}

/** Who is in a school, as its log says; every question can be asked of any position of the log. */
export interface Roster {
  readonly school: Uint8Array
  readonly name: string
  /** of the newest statement */
  readonly head: number
  readonly log: readonly Signed[]
  /**
   * Whether a statement may be the next one. Does not change anything.
   *
   * @throws {MalformedMessageError} no statement, or not of this place
   * @throws {PolicyError} its author may not state this
   */
  check(signed: Signed): Statement
  /** Appends it. @throws as `check` */
  append(signed: Signed): Statement
  user(id: string, at?: number): User | undefined
  users(): User[]
  device(id: string, at?: number): Device | undefined
  devices(): Device[]
  /** The person of a device that is neither revoked nor disabled. */
  person(device: string, at?: number): User | undefined
  /** Keys that let a device of a person in, and were not used yet: of an invitation, of a recovery code. */
  openKeys(user: string): string[]
  /** Where a person has a recovery code: since when, and the device that made it. */
  recovery(user: string): Recovery | undefined
  /** Devices that count, of a person. */
  devicesOf(user: string): Device[]
  /** Devices that count, on a node. */
  devicesAt(peer: string): string[]
  mailboxes(at?: number): readonly string[]
  policy(at?: number): Policy
  /** whether a device that counts is on this node, or it keeps mail */
  isPeer(peer: string): boolean
}

/**
 * Devices that count and came in by this one, let in by it or by a recovery code of it, or by one that came in so; neither
 * `self` nor what came in by that.
 */
export function cameInBy(
  { devices, person }: Pick<Roster, 'devices' | 'person'>,
  device: string,
  self: string
): string[] {
  const letIn = Map.groupBy(devices(), ({ vouchedBy }) => vouchedBy)
  const behind = (by: string): string[] =>
    (letIn.get(by) ?? []).flatMap(({ id }) => (id === self ? [] : [id, ...behind(id)]))
  return behind(device).filter(id => person(id) != null)
}

/** @throws {MalformedMessageError} not the founding of a school */
export function openRoster(founding: Signed): Roster {
  const first = readStatement(founding)
  if (first.kind !== 'found' || first.n !== 0 || !isEqual(first.school, UNFOUNDED))
    throw new MalformedMessageError('a school begins with its founding')
  if (first.body.user.role !== 'admin' || first.body.user.isDisabled)
    throw new PolicyError('who founds a school is its first admin')
  if (first.body.device.user !== first.body.user.id || first.body.device.device !== first.by)
    throw new PolicyError('the founding is signed by the device of the founder')
  const school = schoolOf(founding)
  const log: Signed[] = []
  const users = createHistory<User>()
  const devices = createHistory<Device>()
  const settings = createHistory<{ mailboxes: readonly string[]; policy: Policy }>()
  const usedInvites = new Set<string>()
  const recoveries = new Map<string, Recovery>()
  const recoveriesMade = new Map<string, number>()
  const setting = (at?: number) => settings.get('', at)!

  function person(id: string, at?: number): User | undefined {
    const device = devices.get(id, at)
    const user = device == null || device.isRevoked ? undefined : users.get(device.user, at)
    return user?.isDisabled === true ? undefined : user
  }
  const devicesOf = (user: string): Device[] =>
    devices.now().filter(each => each.user === user && person(each.id) != null)

  const devicesAt = (peer: string): string[] =>
    devices.now().flatMap(each => (each.peer === peer && person(each.id) != null ? [each.id] : []))

  function checkUsers(changed: readonly User[]): void {
    const ids = new Set(changed.map(({ id }) => id))
    if (ids.size !== changed.length) throw new PolicyError('a statement names a person twice')
    const admins = [...users.now().filter(({ id }) => !ids.has(id)), ...changed].filter(
      ({ role, isDisabled }) => role === 'admin' && !isDisabled
    )
    if (!admins.some(({ id }) => devicesOf(id).length > 0))
      throw new PolicyError('a school keeps an admin with a device')
  }

  function checkDevice(by: string, body: Body<'device'>): void {
    const { user, device, peer, vouch } = body
    const known = users.get(user)
    if (known == null || known.isDisabled) throw new PolicyError(`there is no ${user} in this school`)
    if (devices.get(device) != null) throw new PolicyError('this device is there already')
    if (device === by) checkInvited(body)
    else checkVouched(by, known, device, peer, vouch)
    // who has no computer has his home at a mailbox
    const isHome = setting().mailboxes.includes(peer)
    if (!isHome && devicesAt(peer).length > 0)
      throw new PolicyError('there is a device on this node already, and only mailboxes are homes of several')
  }

  /** A code counts while the device does that made it: what a thief makes goes with what he stole. */
  function recovery(user: string): Recovery | undefined {
    const made = recoveries.get(user)
    return made != null && person(made.by)?.id === user ? made : undefined
  }
  function openInvite(id: string): string | undefined {
    const user = users.get(id)
    const isOpen = user?.invite != null && !user.isDisabled && !usedInvites.has(user.invite)
    return isOpen ? user.invite : undefined
  }
  const isOf = (key: string | undefined, { user, device, peer, vouch }: Body<'device'>): boolean =>
    key != null && isSignedBy(key, 'artel/messenger/vouch', vouchFor(school, user, device, peer), vouch)

  function checkInvited(body: Body<'device'>): void {
    const invite = openInvite(body.user)
    const made = recovery(body.user)
    if (isOf(invite, body) || isOf(made?.key, body)) return
    if (invite == null)
      throw new PolicyError(`the invitation of ${body.user} was used already; an admin makes a new one`)
    throw new PolicyError(`this is not the invitation of ${body.user}`)
  }

  function checkVouched(by: string, { id }: User, device: string, peer: string, vouch: Uint8Array): void {
    if (person(by)?.id !== id)
      throw new PolicyError('a device states itself, or another of its person that counts states it')
    if (!isSignedBy(device, 'artel/messenger/consent', consentFor(school, id, device, peer, by), vouch))
      throw new PolicyError('the new device did not sign this')
    const isFull = devicesOf(id).length >= MAX_OWN_DEVICES
    if (isFull || devices.now().filter(each => each.user === id).length >= MAX_VOUCHED)
      throw new PolicyError(
        `a person lets in up to ${MAX_OWN_DEVICES} devices by himself, ${MAX_VOUCHED} over time; an admin makes an invitation for more`
      )
  }

  function check(signed: Signed): Statement {
    const statement = readStatement(signed)
    const { n, by, kind, body } = statement
    if (n !== log.length || !isEqual(statement.school, school) || kind === 'found')
      throw new MalformedMessageError(`statement ${n} is not the next one, ${log.length}, of this school`)
    if (kind === 'device') {
      checkDevice(by, body)
      return statement
    }
    const author = person(by)
    const isOwn = kind === 'recovery' || (kind === 'revoke' && devices.get(body.device)?.user === author?.id)
    if (author == null || (author.role !== 'admin' && !isOwn))
      throw new PolicyError(`${author?.name ?? 'a device that does not count'} may not state ${kind}`)
    if (kind === 'users') checkUsers(body.users)
    if (kind === 'recovery' && (recoveriesMade.get(author.id) ?? 0) >= MAX_RECOVERIES)
      throw new PolicyError(`a person makes at most ${MAX_RECOVERIES} recovery codes; keep the last one`)
    if (kind === 'revoke') {
      if (person(body.device) == null) throw new PolicyError('this device does not count any more')
      const { user } = devices.get(body.device)!
      const others = users
        .now()
        .filter(({ role, isDisabled }) => role === 'admin' && !isDisabled)
        .flatMap(({ id }) => devicesOf(id))
      if (users.get(user)?.role === 'admin' && others.length === 1)
        throw new PolicyError('a school keeps an admin with a device')
    }
    return statement
  }

  function apply({ n, by, timeMs, kind, body }: Statement): void {
    const addDevice = ({ device: id, user, peer, name }: Body<'found'>['device'], vouchedBy?: string): void =>
      devices.set(id, n, {
        id,
        user,
        peer,
        name,
        isRevoked: false,
        ...(vouchedBy == null ? {} : { vouchedBy })
      })
    if (kind === 'found') {
      users.set(body.user.id, n, body.user)
      addDevice(body.device)
      settings.set('', n, { mailboxes: body.mailboxes, policy: body.policy })
    } else if (kind === 'users') for (const user of body.users) users.set(user.id, n, user)
    else if (kind === 'device') {
      const made = recovery(body.user)
      if (body.device !== by) addDevice(body, by)
      else if (isOf(made?.key, body)) {
        recoveries.delete(body.user)
        addDevice(body, made!.by)
      } else {
        usedInvites.add(users.get(body.user)!.invite!)
        addDevice(body)
      }
    } else if (kind === 'recovery') {
      const { user } = devices.get(by)!
      recoveries.set(user, { key: body.key, by, timeMs })
      recoveriesMade.set(user, (recoveriesMade.get(user) ?? 0) + 1)
    } else if (kind === 'revoke') {
      devices.set(body.device, n, { ...devices.get(body.device)!, isRevoked: true })
    } else if (kind === 'mailboxes') settings.set('', n, { ...setting(), mailboxes: body.mailboxes })
    else settings.set('', n, { ...setting(), policy: body })
  }

  log.push(founding)
  apply(first)
  return {
    school,
    name: first.body.name,
    get head() {
      return log.length - 1
    },
    log,
    check,
    append(signed) {
      const statement = check(signed)
      log.push(signed)
      apply(statement)
      return statement
    },
    user: users.get,
    users: users.now,
    device: devices.get,
    devices: devices.now,
    person,
    openKeys: id => [openInvite(id), recovery(id)?.key].filter(key => key != null),
    recovery,
    devicesOf,
    devicesAt,
    mailboxes: at => setting(at).mailboxes,
    policy: at => setting(at).policy,
    isPeer: peer => setting().mailboxes.includes(peer) || devicesAt(peer).length > 0
  }
}
