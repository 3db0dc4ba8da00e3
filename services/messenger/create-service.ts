import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { allows, type Homes, type HostOf, type Lockers, type ServiceOf } from '../host/index.ts'
import { createAlarm } from './admin/alarm.ts'
import { createArchive } from './admin/archive.ts'
import { readCertificate } from './admin/certificate.ts'
import { createCopies } from './admin/copies.ts'
import type { Finding } from './admin/declared.ts'
import { createEntryLog } from './admin/entry-log.ts'
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
import { createUpkeep } from './device/upkeep.ts'
import { createWriter } from './device/write-for-others.ts'
import { SchoolError } from './errors.ts'
import { createCarrier } from './home/carry.ts'
import { createHome } from './home/serve-person.ts'
import { createTelling } from './home/telling.ts'
import { createCards } from './hosting/cards.ts'
import { createHosting, type Hosting } from './hosting/hosting.ts'
import { type Hosted, openHosted } from './hosting/open-hosted.ts'
import { createOperations } from './operations.ts'
import { checkPerson, guarded, isPerson, mayChat } from './people/acting.ts'
import type { Handlers } from './school/network.ts'
import { createTurns } from './store/database.ts'

type Declared = typeof declaration

const SYNC_MS = 30_000
const PRESENCE_MS = 10_000
const TEND_MS = 5_000
/** Asked so often whether it is due. */
const NIGHTLY_MS = 600_000
const HEALTH_MS = 300_000

/** The service `messenger` over what its host gives. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const login = (): string | undefined => school.roster?.person(self)?.id
  const telling = createTelling((topic, value) =>
    host.tell(topic, value, grant => mayChat({ is: 'grant', grant }, login()))
  )
  const home = createHome({
    isOpen: () => host.config.home,
    people: () => host.wanted.people,
    isOf: name => hosting.userOf(name) != null || [login()].some(own => own != null && isPerson(name, own)),
    operations: () => operations,
    follow(caller) {
      const hosted = hosting.of(caller)
      if (hosted == null) checkPerson(caller, login())
      return (hosted?.telling ?? telling).follow
    },
    signal: host.signal
  })
  const handlers = answerPeers(
    () => node,
    () => [node, ...hosting.open().map(({ person }) => person)],
    home,
    host.log
  )
  const node = await assemble(host, () => handlers as Handlers, telling.tell)
  const { school, mirror, mailbox, network, self } = node
  const upkeep = createUpkeep(node, host)
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
    sockets() {
      const { open, most } = host.wanted.entries?.sockets() ?? { open: 0, most: 1 }
      return open / most
    },
    signal: host.signal
  })
  const entries = createEntryLog(() => host.wanted.entries, logs, host.signal)
  const alarm = createAlarm(host.now, (finding, before) =>
    logs.health(finding.state === 'ok' ? 'INFO' : 'WARNING', `${before} → ${finding.state} ${told(finding)}`)
  )
  const restart = (): void =>
    // after its answer
    void setImmediate(() =>
      host.fail(new SchoolError('the people of a backup are here; it starts with them'))
    )
  const cards = createCards(() => host.wanted.people)
  const hosting: Hosting<Hosted> = createHosting({
    db: node.db,
    folder: join(folder, 'people'),
    most: () => host.config.hosted,
    people: () => host.wanted.people,
    open: (user, at, opened, invite, signal) =>
      openHosted(
        {
          node,
          operationsOf: person => createOperations(person, hosting, cards, begin),
          tell: (topic, value) => host.tell(topic, value, grant => hosting.isOf(grant, user)),
          cameIn: async () => {
            hosting.used(user)
            await spread()
          },
          keepCode: (key, code) => hosting.setCode(user, key, code),
          degraded: host.degraded
        },
        { user, folder: at, opened, invite, signal }
      ),
    inTurn: createTurns(),
    signal: host.signal,
    log: host.log
  })

  function onGrown(): void {
    host.tell('roster', {})
    upkeep.onGrown()
    mirror.tend()
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

  async function tend(): Promise<void> {
    if (school.roster == null) return
    mirror.tend()
    await upkeep.tend()
  }

  /** It is in a school from now on: the others hear it before it leaves its key packages with them. */
  async function begin(): Promise<void> {
    await spread()
    await tend()
  }

  async function compare(): Promise<void> {
    await catchUp()
    await upkeep.compare()
    if (mailbox.store.usage().count > 0) mailbox.store.expire()
  }

  const carrier = createCarrier(school, network)
  const operations = guarded(
    {
      ...createOperations(node, hosting, cards, begin),
      ...createCarrying(node, host.now),
      ...createAdministration(node, {
        alarm,
        archive,
        copies,
        logs,
        entries,
        accounts: () => host.wanted.entries?.accounts(),
        certificate: () => readCertificate(folder, host.config),
        watch,
        folder,
        now: host.now,
        restart
      })
    },
    {
      now: host.now,
      login,
      atThisHome: caller => hosting.of(caller)?.operations,
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
      lockers: hosting.lockers,
      ...createWriter({ say: node.chats.say, login }),
      ...createMentions(node.store, school, self, node.notes)
    } satisfies Chats & { homes: Homes; lockers: Lockers },

    async start() {
      host.announce(true)
      node.onGrown(onGrown)
      upkeep.start()
      host.repeat('mail', TEND_MS, tend)
      // pages look at it again; who has gone does not say so
      host.repeat('presence', PRESENCE_MS, () => {
        if (school.roster?.policy().presence !== true) return
        for (const each of [telling, ...hosting.open().map(({ telling }) => telling)])
          each.tell('presence', {})
      })
      host.repeat('entries', TEND_MS, entries.look)
      host.repeat('health', HEALTH_MS, async () => {
        entries.tell()
        if (alarm.hear(await watch.byItself()))
          host.tell('health', {}, grant => allows(grant, 'messenger:admin'))
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
