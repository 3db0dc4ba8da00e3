import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Entries } from '../../host/index.ts'
import type { Roster } from '../core/roster.ts'
import { certificateFinding } from './certificate.ts'
import type { Finding } from './declared.ts'
import { say } from './said.ts'

/** Whoever reads one of these is this node, or reads its backups. */
const KEYS = ['device.key', 'backup.key']
const OTHERS = 0o077

/** More than people mistype in 30 days. */
const MANY_FAILURES = 100
const SHOWN = 5

/** `pem`: undefined where it speaks no TLS; `isOpen`: other machines reach it */
export interface ListenerCertificate {
  pem?: string
  isOpen: boolean
}

interface Known {
  copies: { kept: number; wanted: number }
  /** undefined: nobody comes in over HTTP */
  accounts: ReturnType<Entries['accounts']> | undefined
  /** of the listener; undefined: there is none */
  certificate: ListenerCertificate | undefined
  /** whence sign-ins failed, and how often */
  failures: ReadonlyMap<string, number>
}

/** What others of this machine could read, who tries to come in, and what a school should not rest on. */
export async function audit(
  roster: Roster,
  folder: string,
  { copies, accounts, certificate, failures }: Known,
  now: number
): Promise<Finding[]> {
  return [
    await files(folder),
    ...(accounts == null ? [] : [passwords(accounts)]),
    signIns(failures),
    ...(certificate == null ? [] : [certificateFinding(certificate.pem, certificate.isOpen, now)]),
    ...inSchool(roster),
    elsewhere(copies)
  ]
}

function passwords({ count, adminsByPassword, outdated }: NonNullable<Known['accounts']>): Finding {
  const name = 'passwords'
  if (adminsByPassword.length > 0)
    return {
      name,
      state: 'warn',
      detail: say`administrators who prove nothing but a password: ${adminsByPassword.join(', ')}`,
      remedy: say`each of them turns on the second factor, on the page Account`
    }
  if (outdated > 0)
    return {
      name,
      state: 'warn',
      detail: say`${outdated} of ${count} are kept by an older method`,
      remedy: say`they are kept anew when those people sign in; take away accounts that nobody uses: artel account list`
    }
  return {
    name,
    state: 'ok',
    detail: say`${count} accounts; each password was none of those that are tried first when it was chosen`
  }
}

function signIns(failures: Known['failures']): Finding {
  const all = [...failures.values()].reduce((sum, times) => sum + times, 0)
  const most = [...failures].sort(([, a], [, b]) => b - a).slice(0, SHOWN)
  const from = most.map(([origin, times]) => `${origin} (${times})`).join(', ')
  const finding = {
    name: 'signIns',
    detail: all === 0 ? say`none failed in 30 days` : say`${all} failed in 30 days, most from ${from}`
  }
  return all < MANY_FAILURES
    ? { ...finding, state: 'ok' }
    : {
        ...finding,
        state: 'warn',
        remedy: say`who guesses waits ever longer; block the address in the firewall, and where one person is meant: artel messenger incident account --user LOGIN`
      }
}

function elsewhere({ kept, wanted }: { kept: number; wanted: number }): Finding {
  const finding = { name: 'copies', detail: say`${kept} of ${wanted} nodes have what was backed up last` }
  return kept >= wanted
    ? { ...finding, state: 'ok' }
    : {
        ...finding,
        state: 'warn',
        remedy: say`on other nodes of the school: artel config set messenger.copiesMb 1024`
      }
}

async function files(folder: string): Promise<Finding> {
  const open: string[] = []
  for (const path of [folder, ...KEYS.map(key => join(folder, key))]) {
    try {
      if (((await stat(path)).mode & OTHERS) !== 0) open.push(path)
    } catch (error) {
      // made when it is needed
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return open.length === 0
    ? { name: 'files', state: 'ok', detail: say`only the owner of this node reads its keys` }
    : {
        name: 'files',
        state: 'fail',
        detail: say`others of this machine may read ${open.join(', ')}`,
        remedy: `chmod go= ${open.join(' ')}`
      }
}

function inSchool(roster: Roster): Finding[] {
  const admins = roster
    .users()
    .filter(({ id, role, isDisabled }) => role === 'admin' && !isDisabled && roster.devicesOf(id).length > 0)
  const mailboxes = roster.mailboxes().length
  return [
    admins.length > 1
      ? { name: 'admins', state: 'ok', detail: say`${admins.length} with a device` }
      : {
          name: 'admins',
          state: 'warn',
          detail: say`${admins.length} with a device: where his computer is lost, nobody brings people in`,
          remedy: 'artel messenger add-user LOGIN NAME --role admin'
        },
    mailboxes % 2 === 1
      ? { name: 'mailboxes', state: 'ok', detail: say`${mailboxes}, of which more than half decide` }
      : {
          name: 'mailboxes',
          state: 'warn',
          detail: say`${mailboxes}: no more may be away than of ${mailboxes - 1}`,
          remedy: 'artel messenger mailboxes PEER PEER PEER'
        }
  ]
}
