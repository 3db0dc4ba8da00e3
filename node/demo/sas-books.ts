import type { SimulatedMachine } from './sas-machines.ts'

const DIGITS = 100_000_000
/**
 * A machine that nobody polls for so long hears again only behind a poll to another, which by the protocol also says that
 * its last exception was heard: whoever was killed before it was on the disk, and is away for longer, cannot have it.
 */
export const DEAF_MS = 5_000

/** A row of the database, in the order of the log. */
export interface Entry {
  device: string
  kind: string
  body: {
    code?: number
    mayRepeat?: boolean
    isUp?: boolean
    serial?: string
    totals?: Record<string, number>
    grown?: Record<string, number>
    fell?: Record<string, string>
  }
}

/** By how much a meter of a machine has grown in all. */
export const grownOf = (serial: string, meter: string, entries: readonly Entry[]): number =>
  entries
    .filter(({ device, kind }) => device === `sas:${serial}` && kind === 'meters')
    .reduce((sum, { body }) => sum + (body.grown?.[meter] ?? 0), 0)

/**
 * What the database says about a machine that does not agree with the machine itself; nothing where all is right.
 * @param mayMiss how many exceptions nobody can have heard: see {@link DEAF_MS}
 */
export function differences(machine: SimulatedMachine, entries: readonly Entry[], mayMiss: number): string[] {
  const { serial, happened } = machine
  const rows = entries.filter(({ device, kind }) => device === `sas:${serial}` && kind === 'meters')
  const wrong: string[] = []
  const { missing, surplus } = compare(happened, exceptionsOf(serial, entries))
  if (missing > mayMiss || surplus > 0)
    wrong.push(
      `of ${happened.length} exceptions ${missing} are missing, and ${surplus} are there that were not`
    )
  for (const meter of ['coinIn', 'coinOut', 'bills'] as const) {
    const [first, last] = [rows[0], rows.at(-1)].map(row => row?.body.totals?.[meter] ?? -1)
    const grown = grownOf(serial, meter, entries)
    if (last !== machine[meter]) wrong.push(`${meter} is ${last}, the machine says ${machine[meter]}`)
    if ((first! + grown) % DIGITS !== last) wrong.push(`${meter}: ${first} + ${grown} is not ${last}`)
  }
  return wrong.map(what => `${serial}: ${what}`)
}

type Heard = Entry['body']

/** Those of a machine; what was heard before it had said who it is stands at its place. */
function exceptionsOf(serial: string, entries: readonly Entry[]): Heard[] {
  const early = new Map<string, Heard[]>()
  const heard: Heard[] = []
  for (const { device, kind, body } of entries) {
    if (kind === 'exception' && device === `sas:${serial}`) heard.push(body)
    else if (kind === 'exception') early.set(device, [...(early.get(device) ?? []), body])
    else if (kind === 'link' && body.isUp === true) {
      // what it said meanwhile as itself comes behind
      if (body.serial === serial) heard.push(...(early.get(device) ?? []))
      early.delete(device)
    }
  }
  return heard
}

/** How many exceptions of a machine are not in the database. */
export const missingOf = ({ serial, happened }: SimulatedMachine, entries: readonly Entry[]): number =>
  compare(happened, exceptionsOf(serial, entries)).missing

/** What is not there, and what is there too often, in any order; again only where it says that it may be. */
function compare(happened: readonly number[], heard: readonly Heard[]): { missing: number; surplus: number } {
  const counts = new Map<number, number>()
  const add = (code: number, n: number): void => void counts.set(code, (counts.get(code) ?? 0) + n)
  for (const code of happened) add(code, 1)
  for (const { code, mayRepeat } of heard) if (!mayRepeat) add(code!, -1)
  // what may be a repeat is one, or is what is missing
  for (const { code, mayRepeat } of heard) if (mayRepeat && (counts.get(code!) ?? 0) > 0) add(code!, -1)
  const left = [...counts.values()]
  return {
    missing: left.reduce((sum, n) => sum + Math.max(0, n), 0),
    surplus: left.reduce((sum, n) => sum + Math.max(0, -n), 0)
  }
}
