import { parseId, parseLine, shown } from '../core/grammar.ts'
import { UsageError, VERDICTS } from '../errors.ts'
import type { CheckRow, MachineRow, Registry } from '../machines/registry.ts'
import { COMMANDS, helpLines, type Language } from './help.ts'

export interface Answer {
  /** `OK …` or `ERR Name message`, then one line for each row */
  text: string
  /** 0, or what the command line exits with */
  exit: number
}

type Words = string[]
type Run = (registry: Registry, caller: string, words: Words) => Promise<string | string[]>

type Shown = Pick<MachineRow, 'id' | 'ramMb' | 'cpu'> & { state: string; pending?: MachineRow['pending'] }

const figures = ({ id, ramMb, cpu, state, pending }: Shown) =>
  `${id}: ${ramMb}MB RAM, ${cpu}CPU, ${state}${pending === undefined ? '' : `, pending ${pending.ramMb}MB RAM, ${pending.cpu}CPU`}`

const checked = ({ id, state, folder, process, qmp, disks, isSound }: CheckRow) =>
  `${id}: ${isSound ? 'ok' : 'BROKEN'}, ${state}, folder ${folder}, process ${process}, qmp ${qmp}, disks ${disks}`

const count = (rows: unknown[], what: string) => `${rows.length} ${what}${rows.length === 1 ? '' : 's'}`

const shownAll = (rows: Shown[]) => [count(rows, 'machine'), ...rows.map(figures)]

const listed = async (registry: Registry, caller: string, isAuthenticated: boolean) =>
  shownAll(await registry.list(caller, { isAuthenticated }))

/** How many words follow each command, and what it does. */
const RUN: Record<string, [words: number, run: Run]> = {
  AUTH: [
    3,
    async (registry, caller, [id, ram, cpu]) => `${id} ${await registry.auth(caller, id!, ram!, cpu!)}`
  ],
  ADD_VM: [
    3,
    async (registry, caller, [id, ram, cpu]) => `${(await registry.add(caller, id!, ram!, cpu!)).id} added`
  ],
  LIST_VMS: [0, (registry, caller) => listed(registry, caller, false)],
  LIST_AUTH_VMS: [0, (registry, caller) => listed(registry, caller, true)],
  UPDATE_VM: [
    3,
    async (registry, caller, [id, ram, cpu]) =>
      (await registry.update(caller, id!, ram!, cpu!)) === 'pending'
        ? `pending: ${id} gets ${ram}MB RAM, ${cpu}CPU at its next start`
        : `${id} updated`
  ],
  LOGOUT: [
    1,
    async (registry, caller, [id]) => {
      await registry.logout(caller, id!)
      return `${id} logged out`
    }
  ],
  LIST_DISKS: [
    0,
    async (registry, caller) => {
      const rows = await registry.listDisks(caller)
      return [count(rows, 'disk'), ...rows.map(({ id, vm, sizeGb }) => `Disk ${id} (VM ${vm}): ${sizeGb}GB`)]
    }
  ],
  ADD_DISK: [
    3,
    async (registry, caller, [disk, vm, gb]) =>
      `${disk} ${await registry.addDisk(caller, disk!, vm!, gb!)} to ${vm}`
  ],
  REMOVE_VM: [
    1,
    async (registry, caller, [id]) => {
      await registry.remove(caller, id!)
      return `${id} removed; kept for 7 days`
    }
  ],
  REMOVE_DISK: [
    1,
    async (registry, caller, [disk]) => {
      await registry.removeDisk(caller, disk!)
      return `${disk} removed; kept for 7 days`
    }
  ],
  CHECK_ALL_VMS: [
    0,
    async (registry, caller) => {
      const rows = await registry.check(caller)
      return [count(rows, 'machine'), ...rows.map(checked)]
    }
  ],
  // a prompt or a pipe ends by itself
  EXIT: [0, async () => 'bye']
}

/** Does the line remove a machine without having been asked for? The prompt then asks its user. */
export function needsConfirmation(line: string): string | undefined {
  const [command, id, ...rest] = line.trim().split(/\s+/)
  if (command?.toUpperCase() !== 'REMOVE_VM' || id === undefined || rest.length > 0) return undefined
  return id
}

/** Does the line list the machines of its host? Then the answer is made of what is known of them here. */
export function listingOf(
  line: string
): { answer(rows: (Shown & { authenticated: boolean })[]): Answer } | undefined {
  const command = line.trim().toUpperCase()
  if (command === 'LIST_VMS') return { answer: rows => ok(shownAll(rows)) }
  if (command !== 'LIST_AUTH_VMS') return undefined
  return { answer: rows => ok(shownAll(rows.filter(({ authenticated }) => authenticated))) }
}

/** One line of the prompt, of a pipe or of `artel vm exec`: one grammar for all. Never throws. */
export async function runLine(
  registry: Registry,
  caller: string,
  line: string,
  { language = 'en', onFault }: { language?: Language; onFault(error: Error): void }
): Promise<Answer> {
  try {
    const [command = '', ...words] = parseLine(line)
    const name = command.toUpperCase()
    if (name === 'HELP') return ok(helpLines(language, words[0]))
    const known = Object.hasOwn(RUN, name) ? RUN[name] : undefined
    if (known === undefined) throw new UsageError(`there is no command ${shown(command)}; HELP shows all`)
    const [expected, run] = known
    if (name === 'REMOVE_VM' && words.length === 1) {
      parseId(words[0]!)
      throw new UsageError(`${name} cannot be undone after 7 days; say ${name} ${words[0]} --yes`)
    }
    const given = name === 'REMOVE_VM' ? words.filter(word => word !== '--yes') : words
    if (given.length !== expected)
      throw new UsageError(`${name} takes ${expected} words, not ${given.length}; ${COMMANDS[name]!.usage}`)
    return ok([await run(registry, caller, given)].flat())
  } catch (error) {
    const { name, message } = error as Error
    const verdict = VERDICTS[name]
    if (verdict === undefined) {
      // a stranger reads no words that were not meant for him
      onFault(error as Error)
      return { text: 'ERR InternalError the host made a mistake; its log says which', exit: 1 }
    }
    return { text: `ERR ${name} ${message}`, exit: verdict.exit }
  }
}

function ok([first, ...rest]: string[]): Answer {
  return { text: [`OK ${first}`, ...rest].join('\n'), exit: 0 }
}
