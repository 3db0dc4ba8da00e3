import { cpus, release, type } from 'node:os'
import type { User } from '../core/statement.ts'
import type { Backup, Finding, Guide } from './declared.ts'
import { joined, type Said, say } from './said.ts'

const HOUR_MS = 3_600_000
/** One is made every night. */
const DAILY_MS = 26 * HOUR_MS
const WEEKLY_MS = 7 * 24 * HOUR_MS

/** Whether the newest backup is young enough. Pure. */
function backupWithin(ms: number, newest: Backup | undefined, nowMs: number): Finding {
  const name = 'backup'
  const remedy = say`artel messenger backup makes one`
  if (newest == null) return { name, state: 'fail', detail: say`there is none`, remedy }
  const hours = Math.floor((nowMs - newest.at) / HOUR_MS)
  const isYoung = nowMs - newest.at <= ms
  const detail = say`${newest.id}, ${hours} hours old, ${newest.events} events`
  return isYoung ? { name, state: 'ok', detail } : { name, state: 'fail', detail, remedy }
}

/** The six of every day: does it answer, what went wrong, disk, connections, answers, backup. Pure. */
export function daily(diagnosed: readonly Finding[], newest: Backup | undefined, nowMs: number): Finding[] {
  const of = (name: string): Finding[] => diagnosed.filter(each => each.name === name)
  return [
    ...['mailboxes', 'database', 'diskFree', 'sockets', 'answerMs'].flatMap(of),
    backupWithin(DAILY_MS, newest, nowMs)
  ]
}

function cleanedWithin(ms: number, cleanedMs: number | undefined, bytes: number, nowMs: number): Finding {
  const name = 'cleanup'
  const remedy = say`artel messenger cleanup does it`
  const size = (bytes / 1e6).toFixed(1)
  if (cleanedMs == null)
    return { name, state: 'warn', detail: say`it never ran; the database has ${size} MB`, remedy }
  const hours = Math.floor((nowMs - cleanedMs) / HOUR_MS)
  const detail = say`it ran ${hours} hours ago; the database has ${size} MB`
  return nowMs - cleanedMs <= ms ? { name, state: 'ok', detail } : { name, state: 'warn', detail, remedy }
}

/** The five of every week: backup, clean-up, updates, use, integrity. Pure. */
export function weekly(
  verified: readonly Finding[],
  {
    newest,
    cleanedMs,
    databaseBytes,
    messages,
    nowMs
  }: {
    newest: Backup | undefined
    /** when clean-up ran last, ms since 1970 */
    cleanedMs: number | undefined
    databaseBytes: number
    messages: number
    nowMs: number
  }
): Finding[] {
  const wrong = verified.filter(({ state }) => state === 'fail')
  const integrity: Finding =
    wrong.length === 0
      ? {
          name: 'integrity',
          state: 'ok',
          detail: say`database, messages, mail, files and newest backup are whole`
        }
      : {
          name: 'integrity',
          state: 'fail',
          detail: joined(
            wrong.map(({ name, detail }) => say`${name}: ${detail}`),
            '; '
          ),
          remedy: 'artel messenger restore ID'
        }
  return [
    backupWithin(WEEKLY_MS, newest, nowMs),
    cleanedWithin(WEEKLY_MS, cleanedMs, databaseBytes, nowMs),
    {
      name: 'updates',
      state: 'warn',
      detail: say`Node ${process.version} runs it`,
      remedy: say`compare with the newest release of Artel, this node asks nobody on the internet; artel update FILE puts it in place`
    },
    { name: 'use', state: 'ok', detail: say`${messages} messages this month` },
    integrity
  ]
}

interface Person extends Pick<User, 'id' | 'name' | 'role' | 'classes'> {
  devices: readonly string[]
}
const REVOKE = 'artel messenger revoke'

/** What to do when something bad has happened, in its order, with the commands. Pure. */
export function incident(kind: 'leak' | 'ddos' | 'account', nowMs: number, person?: Person): Guide {
  const user = person?.id ?? 'LOGIN'
  const devices = person?.devices ?? ['DEVICE']
  const { name = 'NAME', role = 'pupil', classes = [] } = person ?? {}
  const known = [user, JSON.stringify(name), '--role', role, ...classes.flatMap(each => ['--classes', each])]
  const [hours, steps] = {
    leak: [
      24,
      [
        {
          what: say`Take the computer that leaked off the network; its device does not count any more, and chats go on without it`,
          command: `${REVOKE} DEVICE --all`
        },
        {
          what: say`See what was reached: who had a device there, in which chats`,
          command: 'artel messenger users'
        },
        {
          what: say`Everybody with an account on that node takes another password; tokens are made anew`,
          command: 'artel account sessions'
        },
        {
          what: say`Tell the people of those chats: what was said before stays readable to whoever has the keys of then`
        }
      ]
    ],
    ddos: [
      1,
      [
        { what: say`Find the peers that ask most`, command: 'artel peers' },
        {
          what: say`Close this node to strangers: a network of its own, its port open to the school only`,
          command: 'artel network create --help'
        },
        {
          what: say`Block their addresses in the firewall; a peer that breaks the rules is barred by itself`
        },
        { what: say`See that it is over: answers and mailboxes`, command: 'artel messenger diagnose' }
      ]
    ],
    account: [
      2,
      [
        // devices of somebody who is disabled do not count and cannot be revoked
        ...devices.map(device => ({
          what: say`Revoke the device, and what came in by it`,
          command: `${REVOKE} ${device} --all`
        })),
        {
          what: say`Disable ${user}: nobody takes anything of his devices from then on`,
          command: `artel messenger add-user ${known.join(' ')} --is-disabled`
        },
        { what: say`Look at what was written in his name`, command: 'artel messenger chats' },
        {
          what: say`Enable him again, with a new device and a new password; tell him`,
          command: `artel messenger invite ${user}`
        }
      ]
    ]
  }[kind] as [number, Guide['steps']]
  return { until: nowMs + hours * HOUR_MS, steps }
}

/** A request for help, with what is known of this machine filled in. */
export function ticket(subject: string, findings: readonly Finding[], nowMs: number): Said {
  const wrong = findings.filter(({ state }) => state !== 'ok')
  const lines = wrong.map(({ name, state, detail }) => say`- ${name}: ${state}, ${detail}`)
  return say`Subject: [PROBLEM] ${subject}

What happened:
1. What happened?
2. When did it happen?
3. How can it be made to happen again?
4. What should have happened?
5. What happened instead?

System:
- ${type()} ${release()}, ${cpus().length} processors
- Node ${process.version}
- written at ${new Date(nowMs).toISOString()}

What diagnose says:
${lines.length === 0 ? say`- nothing is wrong` : joined(lines, '\n')}

Attach: pictures of errors, lines of the log, settings without passwords.`
}
