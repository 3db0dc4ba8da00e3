import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connectControl } from '../../node/index.ts'
import { toWire } from '../../services/index.ts'
import { type Processes, type Program, until } from './processes.ts'

// About 100 µs of work per item: long enough to be interrupted in the middle, short enough to end soon.
export const ITEMS = 15_000
export const SUM = (ITEMS * (ITEMS + 1)) / 2
/** The sum of 1 … `items`, computed slowly. */
export const work = (verify: unknown = 'none', items = ITEMS) => ({
  type: 'range_reduce',
  start: 1,
  end: items,
  map: 'x => { let s = 0; for (let i = 0; i < 15000; i++) s = (s * 31 + i) % 1009; return x + s - s }',
  verify
})

export interface End {
  event: 'end'
  result: number
  error?: string
  message?: string
  report: {
    job: string
    state: string
    done: number
    total: number
    paid: string
    bound: string
    shares: { worker: string; units: number; paid: string }[]
  }
}
export const end = (client: Program): Promise<End> =>
  client.event<End>('the end of the job', event => event.event === 'end')

export function checkRight({ result, error, report }: End, expected = SUM): void {
  assert.equal(error, undefined)
  assert.equal(result, expected)
  assert.equal(report.state, 'completed')
  assert.equal(report.done, report.total)
  const paid = report.shares.reduce((sum, share) => sum + BigInt(share.paid), 0n)
  assert.equal(BigInt(report.paid), paid)
  assert.ok(paid <= BigInt(report.bound))
}

/** The accepted slices in a data folder, without their values. */
export function accepted(data: string): { part: number; first: number; count: number; paid: string }[] {
  const file = join(data, 'jobs.sqlite')
  assert.ok(existsSync(file))
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return db.prepare('SELECT part, first, count, paid FROM slices ORDER BY part, first').all() as never
  } finally {
    db.close()
  }
}

// What the network of these tests grants every account.
const GRANT = 100_000_000n

interface Balances {
  supply: { granted: string; burnt: string; total: string }
  accounts: Record<string, { available: string; reserved: string }>
}

/**
 * The sum of credits is unchanged: every node that runs names the same balances, nothing is reserved any more, and
 * together they are what was granted to `accounts` accounts. Gives the balances.
 */
export async function checkCredits(net: Processes, accounts = net.accounts): Promise<Map<string, bigint>> {
  let last = ''
  return until(
    () => `${accounts} accounts with the same balances on every node; last: ${last}`,
    async () => {
      const views = await Promise.all(net.running().map(balances))
      const [view] = views
      last = JSON.stringify(views)
      if (view == null || views.some(other => JSON.stringify(other) !== JSON.stringify(view))) return
      const each = view.accounts.map(([account, { available, reserved }]) => {
        assert.ok(BigInt(available) >= 0n, `${account} has ${available}`)
        return [account, BigInt(available), BigInt(reserved)] as const
      })
      if (each.length !== accounts || each.some(([, , reserved]) => reserved > 0n)) return
      const sum = each.reduce((total, [, available]) => total + available, 0n)
      assert.equal(view.supply.burnt, '0')
      assert.equal(BigInt(view.supply.granted), GRANT * BigInt(accounts))
      assert.equal(sum, BigInt(view.supply.granted))
      return new Map(each.map(([account, available]) => [account, available]))
    }
  )
}

async function balances(folder: string) {
  const control = await connectControl(folder)
  try {
    const { supply, accounts } = JSON.parse(toWire(await control.credits.balance({ all: true }))) as Balances
    return { supply, accounts: Object.entries(accounts).sort(([a], [b]) => (a < b ? -1 : 1)) }
  } finally {
    control.close()
  }
}
