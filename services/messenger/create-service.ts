import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Homes, HostOf, ServiceOf } from '../host/index.ts'
import { createArchive } from './admin/archive.ts'
import { createCopies } from './admin/copies.ts'
import type { Finding } from './admin/declared.ts'
import { daily } from './admin/guidance.ts'
import { createLogs } from './admin/logs.ts'
import { createAdministration } from './admin/operations.ts'
import { nightly } from './admin/schedule.ts'
import { createWatch } from './admin/watch.ts'
import { answerPeers } from './answer-peers.ts'
import { assemble } from './assemble.ts'
import { createCarrying } from './carried/operations.ts'
import type { Chats } from './contract.ts'
import type { declaration } from './declaration.ts'
import { createMentions } from './device/mentions.ts'
import { createPackages } from './device/packages.ts'
import { createWriter } from './device/write-for-others.ts'
import { SchoolError } from './errors.ts'
import { createCarrier } from './home/carry.ts'
import { createHome } from './home/serve-person.ts'
import { createTelling } from './home/telling.ts'
import { createOperations } from './operations.ts'
import { guarded } from './people/acting.ts'
import type { Handlers } from './school/network.ts'
import { createOwn } from './store/database.ts'

type Declared = typeof declaration

const DAY_MS = 24 * 3_600_000
const SYNC_MS = 30_000
const PRESENCE_MS = 10_000
const TEND_MS = 5_000
/** Asked so often whether it is due. */
const NIGHTLY_MS = 600_000
const SEEN_MS = 60 * DAY_MS
/** One member after the other renews a chat, so that not all do at once. */
const RENEW_STEP_MS = 3_000

/** The service `messenger` over what its host gives. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const telling = createTelling(host.tell)
  const home = createHome({
    isOpen: () => host.config.home,
    people: () => host.wanted.people,
    login: () => login(),
    operations: () => operations,
    follow: telling.follow,
    signal: host.signal
  })
  const handlers = answerPeers(() => node, home, host.log)
  const node = await assemble(host, () => handlers as Handlers, telling.tell)
  const { school, groups, store, post, mirror, sync, mailbox, network, self } = node
  const packages = createPackages(node.mls, store, createOwn(node.db), school, network, host.signal)
  const { folder } = host
  const archive = createArchive(node, folder, host.now)
  const copies = createCopies(node, archive, {
    wanted: () => host.config.copies,
    signal: host.signal,
    log: host.log
  })
  const logs = createLogs(folder, host.now)
  const watch = createWatch(node, {
    folder,
    mailBytes: () => host.config.mailMb * 1_000_000,
    signal: host.signal
  })
  const login = (): string | undefined => school.roster?.person(self)?.id
  const restart = (): void =>
    // after its answer
    void setImmediate(() =>
      host.fail(new SchoolError('the people of a backup are here; it starts with them'))
    )
  /** when a chat was first seen to need other members */
  const staleSince = new Map<string, number>()

  function onGrown(): void {
    telling.tell('roster', {})
    post.tend()
    mirror.tend()
    for (const grp of store.groups()) node.retry(grp)
    void spread().catch((error: Error) =>
      host.log('the news of the roster does not travel: %s', error.message)
    )
  }

  /** Everybody hears that the roster has grown. */
  async function spread(): Promise<void> {
    const { roster } = school
    if (roster == null) return
    const head = roster.head
    const peers = new Set([...roster.mailboxes(), ...roster.devices().map(({ peer }) => peer)])
    peers.delete(network.self)
    await Promise.allSettled(
      [...peers].map(peer =>
        network.ask(peer, 'news', { school: roster.school, head }, { signal: host.signal })
      )
    )
  }

  async function catchUp(): Promise<void> {
    const { roster } = school
    if (roster == null) return
    const peers = roster.mailboxes().filter(peer => peer !== network.self)
    await Promise.allSettled(peers.map(peer => school.pull(peer, host.signal)))
    // whose author went away as soon as it was decided
    if (mailbox.isOne())
      await school.learn(host.signal).catch((error: Error) => host.log('%s', error.message))
  }

  /** Chats whose people or devices have changed in the roster go on with those that are right. */
  async function renewStale(): Promise<void> {
    for (const grp of store.groups()) {
      if (!groups.isStale(grp)) {
        staleSince.delete(grp)
        continue
      }
      const since = staleSince.get(grp) ?? host.now()
      staleSince.set(grp, since)
      const { devices } = groups.current(grp).newest
      const rank = devices.filter(device => school.known().person(device) != null).indexOf(self)
      if (host.now() - since < Math.max(0, rank) * RENEW_STEP_MS) continue
      try {
        await groups.change(grp, now => ({ ...now, users: groups.stillIn(now.users) }))
        host.degraded(`members of ${grp.slice(0, 8)}`, undefined)
      } catch (error) {
        host.degraded(`members of ${grp.slice(0, 8)}`, (error as Error).message)
      }
    }
  }

  async function tend(): Promise<void> {
    if (school.roster == null) return
    post.tend()
    mirror.tend()
    // others have their turn in between
    while (!host.signal.aborted && store.indexNew()) await nextTurn()
    await packages.tend()
    await groups.joinPending()
    await renewStale()
  }

  /** It is in a school from now on: the others hear it before it leaves its key packages with them. */
  async function begin(): Promise<void> {
    await spread()
    await tend()
  }

  async function compare(): Promise<void> {
    await catchUp()
    for (const grp of store.groups()) {
      // who was away may have missed that it went on
      await groups.follow(grp).catch((error: Error) => host.log('%s: %s', grp, error.message))
      await sync.one(grp)
    }
    if (mailbox.store.usage().count > 0) mailbox.store.expire()
    store.forgetSeen(host.now() - SEEN_MS)
  }

  const carrier = createCarrier(school, network)
  const operations = guarded(
    {
      ...createOperations(node, begin),
      ...createCarrying(node, host.now),
      ...createAdministration(node, { archive, copies, logs, watch, folder, now: host.now, restart })
    },
    {
      now: host.now,
      login,
      answered: watch.answered,
      asked: logs.asked,
      atHome: carrier.ask
    }
  )

  return {
    operations,
    messages: handlers,
    api: {
      homes: carrier.homes,
      ...createWriter({ say: node.chats.say, login }),
      ...createMentions(store, school, self)
    } satisfies Chats & { homes: Homes },

    async start() {
      host.announce(true)
      node.onGrown(onGrown)
      if (school.roster != null) {
        post.tend()
        node.finishDeleting()
      }
      host.repeat('mail', TEND_MS, tend)
      // pages look at it again; who has gone does not say so
      host.repeat('presence', PRESENCE_MS, () => {
        if (school.roster?.policy().presence === true) telling.tell('presence', {})
      })
      host.repeat('nightly work', NIGHTLY_MS, async () => {
        if (school.roster != null) node.finishDeleting()
        const wrong = await nightly(node, archive, copies, logs, host.now())
        // until the next night says something else
        if (wrong != null) host.degraded('integrity', wrong.map(told).join('; ') || undefined)
        for (const each of wrong ?? []) logs.wrong(told(each))
        if (school.roster == null || !(await logs.isReportDue())) return
        const [newest] = await archive.list()
        const checks = daily(await watch.diagnose(), newest, host.now())
        logs.report(checks.map(each => `${each.state} ${told(each)}`))
      })
      host.repeat('comparing', SYNC_MS, async signal => {
        // not all at the same moment
        await delay(Math.random() * TEND_MS, undefined, { signal })
        await compare()
      })
    }
  }
}

const told = ({ name, detail, remedy }: Finding): string =>
  `${name}: ${detail}${remedy == null ? '' : `; ${remedy}`}`
