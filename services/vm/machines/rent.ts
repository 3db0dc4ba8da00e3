import type { Capabilities } from '../../host/index.ts'
import type { Machine } from '../contract.ts'
import { costOf, type Prices, type Stage, stageOf } from '../core/rent.ts'
import { QuotaError } from '../errors.ts'
import * as accounts from '../store/accounts.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import type { Power } from './power.ts'
import type { Registry } from './registry.ts'

/** Transfers with this word are rent; others are something else. */
export const MEMO = 'vm'
/** Payments that are looked through each time. */
const ENTRIES = 1_000
/** A node that slept does not charge for it. */
const MOST_MS = 120_000

export interface Statement extends accounts.Account {
  left: number
  stage: Stage
}

export interface Rent {
  /** @throws QuotaError where the owner has to pay first */
  needPaid(owner: string): Promise<void>
  statement(owner: string): Promise<Statement>
  /** Books what was paid, meters what was used since the last time, and does what an empty account is followed by. */
  tick(): Promise<void>
}

/** @param prices as they are now; the machines of the host's own people cost nothing */
export function createRent(
  context: Context,
  { power, registry }: { power: Power; registry: Registry },
  {
    ledger,
    self,
    prices
  }: { ledger: Pick<Capabilities['ledger'], 'history'>; self: string; prices(): Prices }
): Rent {
  const { database: db, now } = context
  let lastAt = now()

  const isFree = () => prices().ramGbHour === 0 && prices().diskGbHour === 0

  async function statement(owner: string): Promise<Statement> {
    const account = await accounts.accountOf(db, owner)
    return { ...account, left: account.paid - account.used, stage: stageOf(account.emptySince, now()) }
  }

  async function book() {
    for (const { type, from, to, seq, amount, memo } of ledger.history({ limit: ENTRIES }))
      if (type === 'transfer' && to === self && from !== self && memo?.split(' ')[0] === MEMO)
        await db.transaction(queries => accounts.bookPayment(queries, from, seq, Number(amount), now()))
  }

  async function follow(machine: Machine, stage: Stage) {
    const { owner, id, desired } = machine
    if (stage === 'pause' && desired === 'running') await power.pause(owner, id)
    else if (stage === 'stop' && desired !== 'stopped') await power.stop(owner, id)
    else if (stage === 'trash') await registry.remove(owner, id)
    else return
    await context.note(machine.uuid, 'unpaid', stage)
  }

  async function meter(owner: string, machines: Machine[], ms: number) {
    const on = machines.filter(({ uuid }) => power.live(uuid).observe().isAlive)
    const had = {
      ramMb: on.reduce((sum, { ramMb }) => sum + ramMb, 0),
      diskGb: (await records.totalsOf(db, owner)).diskGb
    }
    const cost = costOf(had, prices(), ms)
    const before = await accounts.accountOf(db, owner)
    const { emptySince } = await db.transaction(queries => accounts.useUp(queries, owner, cost, now()))
    if (emptySince !== undefined && before.emptySince === undefined)
      for (const { uuid } of machines) await context.note(uuid, 'unpaid', 'notice')
    const stage = stageOf(emptySince, now())
    if (['fine', 'notice'].includes(stage)) context.unpaid.delete(owner)
    else context.unpaid.add(owner)
    // one that is held at this moment keeps nobody else's from it
    for (const machine of machines)
      await follow(machine, stage).catch((error: Error) =>
        context.log('machine %s is unpaid: %s', machine.uuid, error.message)
      )
  }

  return {
    statement,
    async needPaid(owner) {
      if (owner === self || isFree()) return
      await book()
      const { left } = await statement(owner)
      if (left <= 0)
        throw new QuotaError(
          `your account at this host has ${left / 1e6} credits; pay first: artel vm pay ${self}`
        )
      context.unpaid.delete(owner)
    },
    async tick() {
      const ms = Math.min(MOST_MS, Math.max(0, now() - lastAt))
      lastAt = now()
      await book()
      if (isFree()) return context.unpaid.clear()
      const byOwner = Map.groupBy(await records.activeMachines(db), ({ owner }) => owner)
      for (const [owner, machines] of byOwner)
        if (owner !== self)
          await meter(owner, machines, ms).catch((error: Error) =>
            context.log.error('the rent of %s: %e', owner, error)
          )
    }
  }
}
