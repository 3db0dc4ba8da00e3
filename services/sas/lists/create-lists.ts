import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { PollRefusedError, UnknownSetError } from '../errors.ts'
import type { SendToMachine } from '../machine/commands.ts'
import type { DeviceCommands, MachineAnswer } from '../machine/devices.ts'
import type { Machine } from '../machine/machine.ts'
import { answerOf, tell } from '../machine/tell.ts'
import type { Turn } from '../machine/turn.ts'
import { dueListener, dueOnce, type Listed } from './due.ts'
import { createListFile, listedOf, listOf } from './list-file.ts'
import { type ListedPoll, listedPoll, listener, messageOf, onceListed } from './listed-poll.ts'
import { parsed, textOf } from './read.ts'
import { type Said, saidOf } from './said.ts'

const SETS = 'sets'
const MAX_SETS = 256
const SUFFIX = '.json'
export const SET_NAME = /^[\w-]{1,64}$/
const SET_MS = 120_000

/** A listener at one machine. */
export interface Heard extends Said {
  /** serial number, or the line where all machines of it are told */
  target: string
  /** ms since 1970 */
  at: number
}

/** What a set has come to: its answer that came last, and how many there are of how many. */
export interface RunProgress {
  machine: string
  item: Said
  done: number
  total: number
}

export interface ListsInit {
  /** where the files are */
  folder: string
  db: DatabaseSync
  mayControl(): boolean
  /** ms since 1970 */
  now(): number
  /** ms of a clock that nobody sets */
  uptime(): number
  /** what does not work now; undefined: it does */
  onState(what: string, why: string | undefined): void
}

/** Polls that stand in files: asked for ever, once, or when somebody says so; each in its machine's turn. */
export function createLists({ folder, db, mayControl, now, uptime, onState }: ListsInit) {
  const listeners = createListFile(join(folder, 'listeners.json'), listener)
  const once = createListFile(join(folder, 'do_once.json'), onceListed)
  const put = db.prepare('INSERT INTO listed_once (hash, target, at) VALUES (?, ?, ?)')
  const find = db.prepare('SELECT 1 FROM listed_once WHERE hash = ? AND target = ?')
  /** once, since this start */
  const done = new Set<string>()
  /** of listeners, by hash and target: when they were asked, by `uptime`, what was said, and what was written of it */
  const asked = new Map<string, { hash: string; at: number; heard?: Heard; written?: string }>()

  async function look(name: string, file: { look(): Promise<void>; listed: readonly Listed<ListedPoll>[] }) {
    let why: string | undefined
    try {
      await file.look()
      const waiting = file.listed.filter(({ isControl }) => isControl && !mayControl()).length
      if (waiting > 0) why = `${waiting} of its polls wait for sas.control`
    } catch (error) {
      why = (error as Error).message
    }
    onState(name, why)
  }

  async function doOnce(turn: Turn, { hash, poll }: Listed<z.output<typeof onceListed>>): Promise<void> {
    const target = targetOf(turn, poll)
    await tell(turn, messageOf(turn.address, poll), () => {
      if (poll.once === 'ever') put.run(hash, target, now())
      done.add(`${hash} ${target}`)
    })
  }

  async function listen(turn: Turn, { hash, poll, isControl }: Listed<z.output<typeof listener>>) {
    const target = targetOf(turn, poll)
    const message = messageOf(turn.address, poll)
    const key = `${hash} ${target}`
    const before = asked.get(key)
    const at = uptime()
    asked.set(key, { ...before, hash, at })
    const answer = isControl ? await tell(turn, message) : answerOf(turn.address, await turn.long(message))
    const said = saidOf(turn.address, message, answer, poll.length_to_read_per_meter)
    const text = JSON.stringify(said)
    // what changes a machine is in the log each time
    if (poll.commit && !isControl && text !== before?.written) await turn.note('listener', { ...said })
    asked.set(key, { hash, at, heard: { ...said, target, at: now() }, written: text })
  }

  /** @throws {ListFileError} @throws {UnknownSetError} */
  async function setOf(name: string): Promise<Listed<ListedPoll>[]> {
    const path = join(folder, SETS, `${name}${SUFFIX}`)
    const text = SET_NAME.test(name) ? await textOf(path) : undefined
    if (text == null) throw new UnknownSetError(`there is no ${path}; see sas sets`)
    return listedOf(parsed(path, text, listOf(listedPoll)))
  }

  /** @throws {PollRefusedError} it changes what machines do, and that is off; nothing was sent */
  async function run(
    polls: readonly Listed<ListedPoll>[],
    send: (message: Uint8Array) => Promise<MachineAnswer>,
    address: number,
    onSaid?: (item: Said) => Promise<void>
  ): Promise<Said[]> {
    if (!mayControl() && polls.some(({ isControl }) => isControl))
      throw new PollRefusedError('it changes what machines do; set sas.control to allow it on this node')
    const items: Said[] = []
    for (const { poll } of polls) {
      const message = messageOf(address, poll)
      const item = saidOf(address, message, await send(message), poll.length_to_read_per_meter)
      items.push(item)
      await onSaid?.(item)
    }
    return items
  }

  return {
    /** Reads the files, where they have changed. */
    async look(): Promise<void> {
      await look('listeners.json', listeners)
      await look('do_once.json', once)
      const known = new Set(listeners.listed.map(({ hash }) => hash))
      for (const [key, { hash }] of asked) if (!known.has(hash)) asked.delete(key)
    },

    /** What is due at a machine in its turn: the next that is done once, else a listener. */
    async due(turn: Turn): Promise<void> {
      const first = dueOnce(once.listed, {
        isDone({ hash, poll }) {
          const target = targetOf(turn, poll)
          return done.has(`${hash} ${target}`) || (poll.once === 'ever' && find.get(hash, target) != null)
        },
        mayControl: mayControl()
      })
      if (first != null) return doOnce(turn, first)
      const next = dueListener(listeners.listed, {
        askedAt: ({ hash, poll }) => asked.get(`${hash} ${targetOf(turn, poll)}`)?.at,
        now: uptime(),
        mayControl: mayControl()
      })
      if (next != null) await listen(turn, next)
    },

    heard: (): Heard[] => [...asked.values()].flatMap(({ heard }) => heard ?? []),

    /** Names of the sets, and what is not right with them. */
    async sets(): Promise<{ name: string; polls: number; isControl: boolean; why?: string }[]> {
      const files = await readdir(join(folder, SETS)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      const names = files.filter(file => file.endsWith(SUFFIX)).map(file => file.slice(0, -SUFFIX.length))
      return Promise.all(
        names
          .filter(name => SET_NAME.test(name))
          .sort()
          .slice(0, MAX_SETS)
          .map(async name => {
            try {
              const polls = await setOf(name)
              return { name, polls: polls.length, isControl: polls.some(({ isControl }) => isControl) }
            } catch (error) {
              return { name, polls: 0, isControl: false, why: (error as Error).message }
            }
          })
      )
    },

    /**
     * Runs a set at machines, at each in order, its answers by machine. Orders to all of a line go out once.
     *
     * @throws {UnknownSetError} @throws {ListFileError} @throws {PollRefusedError} nothing was sent
     */
    async run(
      name: string,
      machines: readonly Machine[],
      signal: AbortSignal,
      onProgress?: (progress: RunProgress) => Promise<void>
    ) {
      const polls = await setOf(name)
      const each = machines.map(({ state: { line, address, serial }, send }, i) => {
        const isFirst = machines.findIndex(({ state }) => state.line === line) === i
        const own = polls.filter(({ poll }) => isFirst || poll.poll_type !== 'G')
        return { machine: `${line}#${address}`, address, serial, send, own }
      })
      const total = each.reduce((sum, { own }) => sum + own.length, 0)
      let done = 0
      return Promise.all(
        each.map(async ({ machine, address, serial, send, own }) => ({
          machine,
          items: await run(
            own,
            message => send(message, signal, serial),
            address,
            async item => onProgress?.({ machine, item, done: ++done, total })
          )
        }))
      )
    },

    /** What the fleet can do with them at one machine. */
    commands: (address: number, send: SendToMachine): DeviceCommands => ({
      runSet: {
        summary: 'polls it with a set of the node beside it',
        risk: 2,
        args: z.strictObject({ set: z.string().regex(SET_NAME) }),
        deadlineMs: SET_MS,
        async run({ set }, signal) {
          const polls = await setOf(set as string)
          // who may command this machine may not therefore command those beside it
          if (polls.some(({ poll }) => poll.poll_type === 'G'))
            throw new PollRefusedError(
              `${set} tells all machines of the line, and this command is for one: artel sas run ${set}`
            )
          return { items: (await run(polls, message => send(message, signal), address)) as never }
        }
      }
    })
  }
}

/** What is said to all of a line is said once, whichever machine's turn it is. */
const targetOf = ({ line, serial }: Turn, { poll_type: type }: ListedPoll): string =>
  type === 'G' ? line : serial

export type Lists = ReturnType<typeof createLists>
