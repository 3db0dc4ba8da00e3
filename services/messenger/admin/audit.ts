import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Roster } from '../core/roster.ts'
import type { Finding } from './declared.ts'
import { say } from './said.ts'

/** Whoever reads one of these is this node, or reads its backups. */
const KEYS = ['device.key', 'backup.key']
const OTHERS = 0o077

/** What others of this machine could read, and what a school should not rest on. */
export async function audit(
  roster: Roster,
  folder: string,
  copies: { kept: number; wanted: number }
): Promise<Finding[]> {
  return [await files(folder), ...inSchool(roster), elsewhere(copies)]
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
