import { deepEqual, ok, rejects } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turnOver } from 'node:timers/promises'
import { guarded } from '../../../services/sas/line/guard.ts'
import { createMachine } from '../../../services/sas/machine/machine.ts'
import { MIGRATIONS } from '../../../services/sas/migrations.ts'
import type { MoneyFile } from '../../../services/sas/money/file.ts'
import { createJournal } from '../../../services/sas/money/journal.ts'
import type { Does } from '../../../services/sas/money/order.ts'
import { createPayments } from '../../../services/sas/money/pay.ts'
import { Machine } from './machine.ts'

const SIGNERS = ['a', 'b'].map(each => `12D3KooW${each.repeat(44)}`)
const KEY = '00112233445566778899aabbccddeeff00112233'
const AMOUNT = '5.00'
const HASH = 'ab'.repeat(32)
const ROUNDS = 400
const FILE: MoneyFile = {
  money: 'on',
  perCommand: '10.00',
  perDay: '10.00',
  machines: { registered: { asset: 7, key: KEY } }
}

/** What is cut, and what becomes of the machine meanwhile. */
interface Plan {
  does: Does
  isRegistered: boolean
  /** the process ends at its so-manieth effect: before it, or after it and before it is known */
  cutAt: number
  /** its answer to the order does not come back */
  isDumb: boolean
  /** while nobody polls: nothing; it is deaf; its power goes, and a transfer is done, or is not */
  meanwhile: (typeof MEANWHILE)[number]
}
const MEANWHILE = ['nothing', 'deaf', 'done', 'undone'] as const

class Cut extends Error {}

describe('sas: an order that is cut in the middle', () => {
  async function run({ does, isRegistered, cutAt, isDumb, meanwhile }: Plan) {
    const serial = isRegistered ? 'registered' : 'plain'
    const machine = new Machine({
      address: 1,
      serial,
      ...(isRegistered ? { registered: { asset: 7, key: KEY } } : {})
    })
    using db = new DatabaseSync(':memory:')
    for (const each of MIGRATIONS) db.exec(each)
    let now = Date.UTC(2026, 10, 30)
    const log: { kind: string; body: Record<string, unknown> }[] = []
    const orders: string[] = []
    const id = randomUUID()
    /** the intent was on the disk when the first byte came */
    let wasWritten = true

    async function live(cut: number, act: (life: Awaited<ReturnType<typeof begin>>) => Promise<void>) {
      const life = await begin(cut).catch(ended)
      if (life != null) await act(life).catch(ended)
      // what waits for it ends with it
      life?.end.abort()
      return life?.effects() ?? cut
    }
    const ended = (error: unknown): undefined => {
      if (!(error instanceof Cut)) throw error
    }

    async function begin(cut: number) {
      let effects = 0
      let isArmed = false
      const tick = (): void => {
        if (isArmed) effects++
        if (effects >= cut) throw new Cut()
      }
      const around = <T>(work: () => T): T => {
        tick()
        const result = work()
        tick()
        return result
      }
      const real = createJournal(db, () => now)
      const journal = Object.fromEntries(
        Object.entries(real).map(([name, work]) => [
          name,
          (...args: never[]) => around(() => (work as (...given: never[]) => unknown)(...args))
        ])
      ) as typeof real
      const end = new AbortController()
      const line = guarded(
        {
          errors: 0,
          async ask(message) {
            tick()
            now += 40
            const isOrder = [0x8a, 0x94].includes(message[1]!) || (message[1] === 0x72 && message.length > 7)
            if (isOrder) {
              orders.push(Buffer.from(message).toString('hex'))
              wasWritten &&= real.find(id) != null && log.some(({ body }) => body.is === 'tried')
            }
            const answer = machine.message(message, now)
            tick()
            return isOrder && isDumb ? undefined : answer
          }
        },
        () => false
      )
      const device = {
        id: 'x',
        async event(kind: string, body: never) {
          around(() => log.push({ kind, body }))
          return undefined
        },
        sample: async () => undefined,
        latest: async (kind: string) => log.findLast(each => each.kind === kind)?.body,
        before: async () => undefined,
        samples: async () => [],
        close() {}
      }
      const driver = await createMachine({
        lineName: 'line',
        address: 1,
        line,
        devices: { open: async () => device },
        commands: () => ({}),
        due: async () => {},
        onException: code => journal.heard('line#1', code),
        meterSeconds: () => 3600,
        now: () => now
      })
      const payments = createPayments({
        file: async () => FILE,
        journal,
        machines: () => [driver],
        now: () => now,
        uptime: () => now
      })
      return {
        end,
        payments,
        effects: () => effects,
        /** cuts count from here on */
        arm() {
          isArmed = true
        },
        async rounds(isOver: () => boolean) {
          for (let i = 0; i < ROUNDS && !isOver(); i++) {
            let failure: unknown
            payments.look(end.signal).catch(error => {
              failure = error
            })
            now += 250
            await driver.step(end.signal)
            await turnOver()
            if (failure instanceof Cut) throw failure
          }
        },
        isUp: () => driver.state.isUp
      }
    }

    const found = () => createJournal(db, () => now).find(id)
    const effects = await live(cutAt, async ({ rounds, payments, end, isUp, arm }) => {
      await rounds(isUp)
      if (does === 'handpay') machine.winHandpay(500n, now)
      await rounds(() => machine.waiting === 0)
      const order = { id, hash: HASH, machine: serial, does, amount: AMOUNT, signers: SIGNERS }
      let failure: unknown
      let isAnswered = false
      arm()
      payments.pay(order, end.signal).then(
        () => {
          isAnswered = true
        },
        error => {
          failure = error
        }
      )
      await rounds(() => failure != null || (isAnswered && (found() == null || found()!.ending != null)))
      if (failure != null) throw failure
    })
    if (meanwhile === 'deaf') now += 20_000
    else if (meanwhile !== 'nothing') machine.loseSupply(meanwhile === 'done')
    await live(Number.POSITIVE_INFINITY, ({ rounds }) =>
      rounds(() => found() == null || found()!.ending != null)
    )
    return { is: found()?.ending?.is, paid: machine.paid, orders, wasWritten, isCut: effects >= cutAt, log }
  }

  it('is settled once, by asking, and is never sent again', async () => {
    const kinds: Pick<Plan, 'does' | 'isRegistered'>[] = [
      { does: 'bonus', isRegistered: false },
      { does: 'bonus', isRegistered: true },
      { does: 'transfer', isRegistered: true },
      { does: 'collect', isRegistered: true },
      { does: 'handpay', isRegistered: false }
    ]
    const ends: Record<string, number> = {}
    const wrong: unknown[] = []
    let runs = 0
    for (const kind of kinds)
      for (const isDumb of [false, true])
        for (const meanwhile of kind.isRegistered ? MEANWHILE : MEANWHILE.slice(0, 2)) {
          for (let cutAt = 1, isCut = true; isCut; cutAt++) {
            const plan: Plan = { ...kind, isDumb, meanwhile, cutAt }
            const { is, paid, orders, wasWritten, ...rest } = await run(plan)
            isCut = rest.isCut
            runs++
            ends[`${is}`] = (ends[`${is}`] ?? 0) + 1
            const isRight =
              wasWritten &&
              orders.length <= 1 &&
              paid.length <= orders.length &&
              (is !== 'done' || paid.length === 1) &&
              (is !== 'failed' || paid.length === 0) &&
              // where nothing is written, nothing was sent
              (is !== undefined || orders.length === 0)
            if (!isRight) wrong.push({ plan, is, paid: paid.length, orders: orders.length, wasWritten })
          }
        }
    deepEqual(wrong.slice(0, 5), [])
    ok(runs >= 1_000, `${runs} runs`)
    // whoever only ever says that he does not know would be right, too
    ok((ends.unknown ?? 0) * 20 < runs, JSON.stringify(ends))
  })

  it('that finds too much waiting is refused as one that waits is, for who asks for many at once', async () => {
    const end = new AbortController()
    const device = Object.fromEntries(
      ['event', 'sample', 'latest'].map(each => [each, async () => undefined])
    )
    const { turn } = await createMachine({
      lineName: 'line',
      address: 1,
      line: guarded({ errors: 0, ask: async () => undefined }, () => false),
      devices: { open: async () => device as never },
      commands: () => ({}),
      due: async () => {},
      onException() {},
      meterSeconds: () => 3600,
      now: () => 0
    })
    const asked = Array.from({ length: 17 }, () => turn(async () => {}, end.signal))
    await rejects(asked.pop()!, { name: 'UnknownMachineError' })
    end.abort()
    for (const each of asked) await rejects(each, { name: 'AbortError' })
  })

  it('is done where nothing is cut', async () => {
    for (const [does, isRegistered] of [
      ['bonus', false],
      ['bonus', true],
      ['transfer', true],
      ['collect', true],
      ['handpay', false]
    ] as const) {
      const { is, paid, orders } = await run({
        does,
        isRegistered,
        cutAt: Number.POSITIVE_INFINITY,
        isDumb: false,
        meanwhile: 'nothing'
      })
      deepEqual([is, paid.length, paid[0]?.cents, orders.length], ['done', 1, 500n, 1], does)
    }
  })
})
