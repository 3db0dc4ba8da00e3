import type { Entry } from './api.ts'

/** One sum of the report: what it must be, what it is, and from which entries. */
export interface Line {
  what: 'rows' | 'bills' | 'games' | 'orders' | 'overflows'
  expected: number
  found: number
  /** seq of the entries that it is made of, or of those that are wrong */
  entries: number[]
}
export interface Report {
  isRight: boolean
  lines: Line[]
  /** by how much each meter has grown, in credits */
  grown: Record<string, number>
  /** meters that went past their last digit, or were cleared */
  rollovers: number
  resets: number
  /** chain and place of the newest entry: whoever has the log can follow the sums from there */
  head: Pick<Entry, 'agent' | 'number' | 'seq'> | undefined
}

interface Row {
  why?: string
  totals?: Record<string, number>
  grown?: Record<string, number>
  fell?: Record<string, string>
}

const MODULUS = 100_000_000
const OVERFLOW = 0x70
const LATE_MS = 60_000
const BILLS: Readonly<Record<number, number>> = {
  71: 1,
  72: 5,
  73: 10,
  74: 20,
  75: 50,
  76: 100,
  77: 2,
  78: 500,
  80: 200
}

/** Whether what the log says of a machine adds up, sum by sum. Entries in their order. Pure. */
export function reconcile(entries: readonly Entry[]): Report {
  const of = (kind: string): Entry[] => entries.filter(each => each.kind === kind)
  const rows = of('meters')
  const grown: Record<string, number> = {}
  // the first row has what had grown before it
  for (const { body } of rows.slice(1))
    for (const [name, value] of Object.entries((body as Row).grown ?? {}))
      grown[name] = (grown[name] ?? 0) + value
  const fell = rows.flatMap(({ body }) => Object.values((body as Row).fell ?? {}))

  const wrong = rows.filter((row, i) => i > 0 && !follows(rows[i - 1]!.body as Row, row.body as Row))
  const places = new Map(entries.map((entry, i) => [entry, i]))
  const placeOf = (entry: Entry | undefined): number => (entry === undefined ? -1 : places.get(entry)!)
  const bills = of('exception').filter(
    each => BILLS[each.body.code as number] !== undefined && placeOf(each) > placeOf(rows[0])
  )
  const worthOf = (some: readonly Entry[]): number =>
    some.reduce((sum, { body }) => sum + BILLS[body.code as number]!, 0)
  // a machine says what happened a little after its meters have it: near the ends a bill may be of before, or of after
  const sure = bills.filter(
    each => each.at > (rows[0]?.at ?? 0) + LATE_MS && placeOf(each) < placeOf(rows.at(-1))
  )
  const said = Math.min(Math.max(grown.bills ?? 0, worthOf(sure)), worthOf(bills))
  const overflows = of('exception').filter(({ body }) => body.code === OVERFLOW)
  const orders = of('money')
  const ended = new Set(orders.filter(({ body }) => body.is !== 'tried').map(({ body }) => body.id))
  const tried = orders.filter(({ body }) => body.is === 'tried')

  const lines: Line[] = [
    {
      what: 'rows',
      expected: Math.max(0, rows.length - 1),
      found: Math.max(0, rows.length - 1) - wrong.length,
      entries: seqs(wrong)
    },
    {
      what: 'bills',
      expected: grown.bills ?? 0,
      found: said,
      entries: seqs(bills)
    },
    {
      what: 'games',
      expected: grown.played ?? 0,
      found: (grown.won ?? 0) + (grown.lost ?? 0),
      entries: seqs(rows)
    },
    {
      what: 'orders',
      expected: tried.length,
      found: tried.filter(({ body }) => ended.has(body.id)).length,
      entries: seqs(tried.filter(({ body }) => !ended.has(body.id)))
    },
    { what: 'overflows', expected: 0, found: overflows.length, entries: seqs(overflows) }
  ]
  const head = entries.at(-1)
  return {
    isRight: lines.every(({ expected, found }) => expected === found),
    lines,
    grown,
    rollovers: fell.filter(each => each === 'rollover').length,
    resets: fell.filter(each => each === 'reset').length,
    head: head && { agent: head.agent, number: head.number, seq: head.seq }
  }
}

const seqs = (entries: readonly Entry[]): number[] => entries.map(({ seq }) => seq)

/** Every meter stands where it stood, and what it has grown by; one that was cleared counts from 0. */
function follows(before: Row, now: Row): boolean {
  return Object.entries(now.totals ?? {}).every(([name, total]) => {
    const delta = now.grown?.[name] ?? 0
    if (now.fell?.[name] === 'reset') return total === delta
    const from = before.totals?.[name]
    return from === undefined || (from + delta) % MODULUS === total
  })
}

/** The report as a table of text; values are quoted where they must be. */
export function csvOf(serial: string, { lines, grown, head }: Report): string {
  const rows: (string | number)[][] = [
    ['machine', 'sum', 'expected', 'found', 'difference', 'entries'],
    ...lines.map(({ what, expected, found, entries }) => [
      serial,
      what,
      expected,
      found,
      found - expected,
      entries.join(' ')
    ]),
    ...Object.entries(grown).map(([name, value]) => [serial, name, '', value, '', '']),
    [serial, 'head', '', head === undefined ? '' : `${head.agent}/${head.number}/${head.seq}`, '', '']
  ]
  return rows.map(row => row.map(quoted).join(',')).join('\r\n')
}

/** A spreadsheet must take no name of a machine for a formula. */
const quoted = (value: string | number): string => {
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
