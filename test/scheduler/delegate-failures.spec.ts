import { strict as assert } from 'node:assert'
import { DatabaseSync } from 'node:sqlite'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { encodeValue } from '../../sandbox/index.ts'
import { SpecError } from '../../scheduler/errors.ts'
import { createDelegating } from '../../scheduler/jobs/delegate-job.ts'
import { createDelegationBook } from '../../scheduler/jobs/delegation-book.ts'
import { createDelegates, type DelegatesInit } from '../../scheduler/jobs/serve-delegates.ts'
import { UNPAID_LIMIT_MS } from '../../scheduler/market/unpaid-time.ts'
import { until } from '../bootstrap/nodes.ts'
import { startNodes, type TwoNodes } from './network.ts'

/** Remembers what was an error. */
function recorder(): { logger: ComponentLogger; errors: string[] } {
  const errors: string[] = []
  const log = Object.assign(() => {}, {
    error: (_: string, ...values: unknown[]) => errors.push(values.map(String).join(' ')),
    trace: () => {},
    enabled: false,
    newScope: () => log
  }) as unknown as Logger
  return { logger: { forComponent: () => log }, errors }
}

/** Of one account, whose transfers are there at once. */
function fakeLedger() {
  const transfers = new Map<string, bigint>()
  const paid: string[] = []
  const ledger = {
    account: 'me',
    transfer: async (_: string, amount: bigint, { memo }: { memo: string }) => {
      paid.push(memo)
      transfers.set(memo, amount)
    },
    transferOf: (memo: string) => (transfers.has(memo) ? { amount: transfers.get(memo) } : undefined),
    addEventListener: () => {},
    removeEventListener: () => {}
  } as never
  return { ledger, paid }
}

const newBook = () => createDelegationBook(new DatabaseSync(':memory:'))

/** A job that has begun and never ends. */
const begun: DelegatesInit['submit'] = async (_, id) => {
  const report = { job: id, type: 'map', state: 'running', submitted: 0, done: 0, total: 1, retries: 0 }
  return {
    id,
    report: () => ({ ...report, bound: 1n, paid: 0n, shares: [] }),
    settled: () => new Promise(() => {})
  } as never
}

describe('scheduler: a delegate in trouble of its own', () => {
  let nodes: TwoNodes
  let { ledger, paid } = fakeLedger()
  const stops: (() => Promise<void> | void)[] = []
  beforeEach(async () => {
    nodes = await startNodes()
    ;({ ledger, paid } = fakeLedger())
  })
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
    await nodes.stop()
  })

  async function serving(changed: Partial<DelegatesInit>): Promise<string[]> {
    const { logger, errors } = recorder()
    const delegates = createDelegates(
      {
        serves: ['*'],
        parse: () => ({ maxPrice: 1 }),
        copyData: async () => {},
        submit: () => Promise.reject(new Error('not reached')),
        job: () => undefined,
        now: () => 0,
        ...changed
      },
      { network: nodes.a, ledger, book: newBook(), logger }
    )
    await delegates.start()
    stops.push(() => delegates.stop())
    return errors
  }

  function delegatingFrom(network: Pick<TwoNodes['b'], 'dialProtocol'>, book = newBook()) {
    const delegating = createDelegating(
      { parse: spec => spec as never },
      { network, ledger, book, logger: recorder().logger }
    )
    stops.push(() => delegating.stop())
    return delegating
  }

  const asking = () => delegatingFrom(nodes.b).submit({ maxPrice: 1 }, nodes.a.peerId.toString())

  it('says so to its owner and to who asked: a full disk is not passed over in silence', async () => {
    const full = Object.assign(new Error('database or disk is full'), { name: 'StorageError' })
    const errors = await serving({ submit: () => Promise.reject(full) })
    await assert.rejects(asking(), { name: 'DelegateError', reason: 'StorageError', message: /disk is full/ })
    assert.match(errors.join(), /disk is full/)
  })

  it('says so when it cannot even answer the question', async () => {
    const errors = await serving({
      parse: () => {
        throw new Error('a mistake of ours')
      }
    })
    await assert.rejects(asking(), { name: 'DelegateError', message: /a mistake of ours/ })
    assert.match(errors.join(), /a mistake of ours/)
  })

  it('tries no more jobs of who was refused for as long as a slot may be had for nothing', async () => {
    let ms = 0
    let tried = 0
    await serving({
      now: () => ms,
      submit: async () => {
        tried++
        ms += 0.6 * UNPAID_LIMIT_MS
        throw new SpecError('model', 'no runtime takes it')
      }
    })
    for (let i = 0; i < 2; i++) await assert.rejects(asking(), { name: 'DelegateError', reason: 'SpecError' })
    const message = /without paying/
    await assert.rejects(asking(), { name: 'DelegateError', reason: 'NotServedError', message })
    assert.equal(tried, 2)
  })

  it('is asked again to start what was paid, where the first time is lost', async () => {
    await serving({ submit: begun })
    let asked = 0
    const losing = {
      dialProtocol: ((...args) => {
        asked++
        return asked === 2 ? Promise.reject(new Error('lost')) : nodes.b.dialProtocol(...args)
      }) as TwoNodes['b']['dialProtocol']
    }
    const job = await delegatingFrom(losing).submit({ maxPrice: 1 }, nodes.a.peerId.toString())
    assert.equal(job.report().state, 'running')
  })

  it('starts what was paid before a restart also where it comes later than its client', async () => {
    const book = newBook()
    const key = '0'.repeat(32)
    book.handOut(key, nodes.a.peerId.toString(), encodeValue({ maxPrice: 1 }))
    const { transfer } = ledger as { transfer(to: string, amount: bigint, options: object): Promise<void> }
    await transfer('', 10_000_000n, { memo: `delegate ${key}` })
    const asked = Promise.withResolvers<void>()
    const early = {
      dialProtocol: (async (...args) => {
        try {
          return await nodes.b.dialProtocol(...args)
        } finally {
          asked.resolve()
        }
      }) as TwoNodes['b']['dialProtocol']
    }
    delegatingFrom(early, book).start()
    await asked.promise
    await serving({ submit: begun })
    await until(() => book.unstarted().length === 0, 'it is started')
  })

  it('is paid once for one id, also where its client was started anew in between', async () => {
    const book = newBook()
    const delegate = nodes.a.peerId.toString()
    const lost = Promise.withResolvers<void>()
    let asked = 0
    const losing = {
      dialProtocol: ((...args) => {
        if (++asked === 1) return nodes.b.dialProtocol(...args)
        lost.resolve()
        return Promise.reject(new Error('lost'))
      }) as TwoNodes['b']['dialProtocol']
    }
    let started = 0
    await serving({
      submit: (...args) => {
        started++
        return begun(...args)
      }
    })
    const before = delegatingFrom(losing, book)
    const unheard = assert.rejects(before.submit({ maxPrice: 1 }, delegate, { id: 'a1' }))
    await lost.promise
    before.stop()
    await unheard
    const after = delegatingFrom(nodes.b, book)
    const { id } = await after.submit({ maxPrice: 1 }, delegate, { id: 'a1' })
    assert.equal((await after.submit({ maxPrice: 1 }, delegate, { id: 'a1' })).id, id)
    assert.deepEqual([paid.length, started], [1, 1])
  })

  describe('is told to cancel what begins when who asked', () => {
    let cancelled = Promise.withResolvers<unknown>()
    let asked = Promise.withResolvers<void>()
    let gate = Promise.withResolvers<void>()
    beforeEach(async () => {
      cancelled = Promise.withResolvers()
      asked = Promise.withResolvers()
      gate = Promise.withResolvers()
      let made: Awaited<ReturnType<typeof begun>> | undefined
      await serving({
        async submit(...args) {
          asked.resolve()
          await gate.promise
          made = Object.assign(await begun(...args), {
            cancel: async (why: string) => cancelled.resolve(why)
          })
          return made
        },
        job: () => made
      })
    })

    const leaving = (book = newBook()) => {
      const gone = new AbortController()
      const delegating = delegatingFrom(nodes.b, book)
      const { signal } = gone
      const unheard = assert.rejects(
        delegating.submit({ maxPrice: 1 }, nodes.a.peerId.toString(), { signal })
      )
      return { gone, delegating, unheard }
    }

    it('has gone without its id', async () => {
      const { gone, unheard } = leaving()
      await asked.promise
      gone.abort()
      await unheard
      gate.resolve()
      assert.equal(await cancelled.promise, 'its submitter asked')
    })

    it('has gone while it was paid', async () => {
      const paying = Promise.withResolvers<void>()
      const { transfer } = ledger as { transfer(...args: unknown[]): Promise<void> }
      Object.assign(ledger, {
        async transfer(...args: unknown[]) {
          await transfer(...args)
          paying.resolve()
          const { signal } = args[2] as { signal: AbortSignal }
          await raceSignal(certified.promise, signal)
        }
      })
      const certified = Promise.withResolvers<void>()
      const { gone, unheard } = leaving()
      await paying.promise
      gone.abort()
      await unheard
      certified.resolve()
      gate.resolve()
      assert.equal(await cancelled.promise, 'its submitter asked')
    })

    it('has gone with its node', async () => {
      const book = newBook()
      const { delegating, unheard } = leaving(book)
      await asked.promise
      delegating.stop()
      await unheard
      delegatingFrom(nodes.b, book).start()
      gate.resolve()
      assert.equal(await cancelled.promise, 'its submitter asked')
      await until(() => book.untold().length === 0, 'nothing is left to be done')
    })
  })

  it('pays back as soon as its ledger takes it', async () => {
    const { transfer } = ledger as { transfer(...args: unknown[]): Promise<void> }
    let tried = 0
    Object.assign(ledger, {
      async transfer(...args: unknown[]) {
        const { memo } = args[2] as { memo: string }
        if (memo.startsWith('refund') && tried++ === 0) throw new Error('no witness answers')
        await transfer(...args)
      }
    })
    const errors = await serving({
      submit: async (...args) =>
        Object.assign(await begun(...args), { settled: async () => ({ paid: 1n }) }) as never
    })
    await asking()
    await until(() => paid.some(memo => memo.startsWith('refund')), 'it is paid back')
    assert.match(errors.join(), /no witness answers/)
  })

  it('is not asked for ever for what it refused and paid back', async () => {
    const book = newBook()
    await serving({ submit: () => Promise.reject(new SpecError('model', 'no runtime takes it')) })
    const delegate = nodes.a.peerId.toString()
    const before = delegatingFrom(nodes.b, book)
    await assert.rejects(before.submit({ maxPrice: 1 }, delegate, { id: 'a1' }), { reason: 'SpecError' })
    await assert.rejects(before.submit({ maxPrice: 1 }, delegate, { id: 'a1' }), { reason: 'RefundedError' })
    assert.equal(paid.filter(memo => memo.startsWith('delegate')).length, 1)
    before.stop()
    delegatingFrom(nodes.b, book).start()
    await until(() => book.unstarted().length === 0, 'it is forgotten')
  })

  it('does not bother its owner with what is wrong with a request', async () => {
    const errors = await serving({ serves: [] })
    await assert.rejects(asking(), { name: 'DelegateError', reason: 'NotServedError' })
    assert.deepEqual(errors, [])
  })
})
