import { statfs } from 'node:fs/promises'
import { cpus, freemem, totalmem } from 'node:os'
import type { Messenger } from '../assemble.ts'
import type { Finding } from './declared.ts'
import { say } from './said.ts'
import { judge, p95, type Readings } from './thresholds.ts'

const KEPT_ANSWERS = 1_000
const ASK_MS = 5_000
/** What nine tenths of are used is as good as full to who looks for a fault. */
const FULL = 0.9

export type Watch = ReturnType<typeof createWatch>

/** Measures this machine and node, and looks for what usually goes wrong. */
export function createWatch(
  { db, store, school, network, mailbox, floods }: Messenger,
  init: {
    folder: string
    mailBytes(): number
    /** of those that there may be, 0 to 1 */
    sockets(): number
    signal: AbortSignal
  }
) {
  const { folder, mailBytes, sockets, signal } = init
  const answers: number[] = []
  // who asks in between does not shorten what is looked at by itself
  const cpuAsked = createCpuMeter()
  const cpuByItself = createCpuMeter()

  async function measure(cpu: () => number): Promise<Readings> {
    const disk = await statfs(folder)
    return {
      cpu: cpu(),
      memory: 1 - freemem() / totalmem(),
      diskFree: disk.bavail / disk.blocks,
      databaseBytes: databaseBytes(db),
      answerMs: p95(answers),
      sockets: sockets()
    }
  }

  /** Nodes that keep the mail, whether they answer. */
  async function mailboxes(): Promise<Finding> {
    const { roster } = school
    const name = 'mailboxes'
    if (roster == null)
      return {
        name,
        state: 'warn',
        detail: say`this node is in no school`,
        remedy: say`artel messenger found NAME, or artel messenger join CODE`
      }
    const silent: string[] = []
    await Promise.all(
      roster.mailboxes().map(async peer => {
        const request = { school: roster.school, head: 0 }
        const until = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)])
        await network.ask(peer, 'news', request, { signal: until }).catch(() => silent.push(peer))
      })
    )
    const all = roster.mailboxes().length
    if (silent.length === 0) return { name, state: 'ok', detail: say`all ${all} answer` }
    return {
      name,
      state: silent.length * 2 < all ? 'warn' : 'fail',
      detail: say`${silent.length} of ${all} do not answer: ${silent.join(', ')}`,
      remedy: say`start those nodes and see that this one reaches them (its seeds, firewall); or name others: artel messenger mailboxes`
    }
  }

  function outbox(): Finding {
    const waiting = store.outCount()
    return waiting === 0
      ? { name: 'outbox', state: 'ok', detail: say`everything is at the mailboxes` }
      : {
          name: 'outbox',
          state: waiting < 1_000 ? 'warn' : 'fail',
          detail: say`${waiting} envelopes wait for a mailbox`,
          remedy: say`they go by themselves when the mailboxes answer and have room`
        }
  }

  function quota(): Finding {
    const { bytes } = mailbox.store.usage()
    const share = bytes / mailBytes()
    const state = share >= FULL ? 'fail' : share >= 0.8 ? 'warn' : 'ok'
    return {
      name: 'quota',
      state,
      detail: say`${Math.round(share * 100)} % of the mail’s room is used`,
      ...(state === 'ok'
        ? {}
        : { remedy: say`pictures and files are refused when it is full: set a larger messenger.mailMb` })
    }
  }

  function rates(): Finding {
    const name = 'rates'
    const senders = floods.list()
    if (senders.length === 0) return { name, state: 'ok', detail: say`nobody sends more than he may` }
    const people = senders.map(device => `${school.roster?.person(device)?.name ?? '?'} (${device})`)
    return {
      name,
      state: 'warn',
      detail: say`more than the policy lets a device send, in the last hour: ${people.join(', ')}`,
      remedy: say`a mailbox takes the rest later; where no person wrote it: artel messenger revoke DEVICE`
    }
  }

  function writing(): Finding {
    const name = 'database'
    try {
      const [row] = db.prepare('PRAGMA quick_check(1)').all() as Record<string, string>[]
      if (String(Object.values(row ?? {})[0]) !== 'ok') throw new Error(String(Object.values(row ?? {})[0]))
      db.exec('BEGIN IMMEDIATE; ROLLBACK')
      return { name, state: 'ok', detail: say`whole, and can be written` }
    } catch (error) {
      return {
        name,
        state: 'fail',
        detail: say`it cannot be read and written: ${(error as Error).message}`,
        remedy: say`nothing can be sent: artel messenger verify, then artel messenger restore ID`
      }
    }
  }

  return {
    /** How long an answer took. */
    answered(ms: number): void {
      answers.push(ms)
      if (answers.length > KEPT_ANSWERS) answers.shift()
    },
    health: async (): Promise<Finding[]> => judge(await measure(cpuAsked)),
    /** The same, of the time since it was looked at so. */
    byItself: async (): Promise<Finding[]> => judge(await measure(cpuByItself)),
    async diagnose(): Promise<Finding[]> {
      const readings = await measure(cpuAsked)
      const slow = judge(readings, { memory: FULL }).filter(({ name }) => name !== 'databaseBytes')
      return [writing(), await mailboxes(), outbox(), quota(), rates(), ...slow]
    }
  }
}

/** Share of all processors that was used since it was asked last; at first, since the machine was started. */
function createCpuMeter(): () => number {
  let before = { all: 0, idle: 0 }
  return () => {
    const now = times()
    const all = now.all - before.all
    const idle = now.idle - before.idle
    before = now
    return all === 0 ? 0 : 1 - idle / all
  }
}

function times(): { all: number; idle: number } {
  const each = cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({
    all: user + nice + sys + irq + idle,
    idle
  }))
  return {
    all: each.reduce((sum, { all }) => sum + all, 0),
    idle: each.reduce((sum, { idle }) => sum + idle, 0)
  }
}

export function databaseBytes(db: Messenger['db']): number {
  const figure = (pragma: string): number =>
    Number(Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0])
  return figure('page_count') * figure('page_size')
}
