import { isAbsolute } from 'node:path'
import type { Entries, Handlers } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { FilePathError, UnknownChatError } from '../errors.ts'
import type { Alarm } from './alarm.ts'
import type { Archive } from './archive.ts'
import { audit, type ListenerCertificate } from './audit.ts'
import { certify } from './certificate.ts'
import type { Copies } from './copies.ts'
import type { administration, Finding, Guide } from './declared.ts'
import type { EntryLog } from './entry-log.ts'
import { daily, incident, ticket, weekly } from './guidance.ts'
import type { Logs } from './logs.ts'
import { restoreFrom } from './restore.ts'
import { type Language, textOf } from './said.ts'
import { cleanedAt, cleanUp, statistics } from './tidy.ts'
import { verify } from './verify.ts'
import { databaseBytes, type Watch } from './watch.ts'

export interface AdministrationInit {
  alarm: Alarm
  archive: Archive
  copies: Copies
  logs: Logs
  entries: EntryLog
  /** of this node; undefined: nobody comes in over HTTP */
  accounts(): ReturnType<Entries['accounts']> | undefined
  /** of the listener; undefined: there is none */
  certificate(): Promise<ListenerCertificate | undefined>
  /** of the service */
  folder: string
  watch: Watch
  now(): number
  /** the people of the school are others than they were when it started */
  restart(): void
}

/** What an administrator does with this node. */
export function createAdministration(
  node: Messenger,
  init: AdministrationInit
): Handlers<typeof administration> {
  const { alarm, archive, copies, logs, entries, accounts, certificate, watch, folder, now, restart } = init
  return {
    health: async ({ last, language }) => shown(last ? alarm.last() : await watch.health(), language),
    diagnose: async ({ language }) => shown(await watch.diagnose(), language),
    verify: async ({ full, language }) => shown(await verify(node, archive, full), language),
    async backup({ full }) {
      const made = await archive.make(full)
      await copies.spread()
      return made
    },
    backups: async () => ({ items: await archive.list() }),
    copies: async () => ({
      items: (await copies.list()).map(({ peer, copy: { about } }) => ({
        peer,
        id: about.id,
        at: about.at,
        bytes: about.bytes
      }))
    }),
    async restore({ id, group, user, into }) {
      if (!(await archive.list()).some(each => each.id === id)) await copies.fetch(id)
      if (into != null) {
        if (!isAbsolute(into))
          throw new FilePathError(`${into} is relative; write the whole path, beginning with /`)
        await archive.unpack(id, into)
        return { events: 0, generations: 0, mail: 0, files: 0, statements: 0 }
      }
      const restored = await archive.within(id, file =>
        restoreFrom(node, file, { ...(group == null ? {} : { group }), ...(user == null ? {} : { user }) })
      )
      // what is too old goes, and the rest counts
      node.mailbox.store.expire()
      if (restored.statements > 0) restart()
      return restored
    },
    cleanup: () => cleanUp(node, archive, logs, now()),
    stats: () => statistics(node),
    async audit({ language }) {
      entries.tell()
      const known = {
        copies: copies.state(),
        accounts: accounts(),
        certificate: await certificate(),
        failures: await logs.failures()
      }
      return shown(await audit(node.school.known(), folder, known, now()), language)
    },
    async check({ period, language }) {
      const [newest] = await archive.list()
      if (period === 'daily') return shown(daily(await watch.diagnose(), newest, now()), language)
      const month = new Date(now()).toISOString().slice(0, 7)
      const messages = statistics(node).months.find(each => each.month === month)?.messages ?? 0
      const measured = {
        newest,
        cleanedMs: cleanedAt(node.db),
        databaseBytes: databaseBytes(node.db),
        messages,
        nowMs: now()
      }
      return shown(weekly(await verify(node, archive, false), measured), language)
    },
    async log({ name, lines }) {
      entries.tell()
      return { lines: await logs.tail(name, lines) }
    },
    cert: ({ addresses, anew: isAnew }) =>
      certify(folder, { school: node.school.known().name, addresses, isAnew, now: now() }),
    setLogLevel: ({ level, minutes }) => ({ until: logs.setLevel(level, minutes * 60_000) }),
    incident({ kind, user, language }) {
      if (user == null) return guided(incident(kind, now()), language)
      const roster = node.school.known()
      const person = roster.user(user)
      if (person == null) throw new UnknownChatError(`there is no ${user} in this school`)
      const devices = roster.devicesOf(user).map(({ id }) => id)
      return guided(incident(kind, now(), { ...person, devices }), language)
    },
    ticket: async ({ subject, language }) => ({
      text: ticket(subject, await watch.diagnose(), now()).in(language)
    })
  }
}

const shown = (findings: readonly Finding[], language: Language) => ({
  items: findings.map(({ detail, remedy, ...finding }) => ({
    ...finding,
    detail: textOf(detail, language),
    ...(remedy == null ? {} : { remedy: textOf(remedy, language) })
  }))
})
const guided = ({ until, steps }: Guide, language: Language) => ({
  until,
  steps: steps.map(({ what, ...step }) => ({ ...step, what: what.in(language) }))
})
