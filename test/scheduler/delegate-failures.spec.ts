import { strict as assert } from 'node:assert'
import { DatabaseSync } from 'node:sqlite'
import type { ComponentLogger, Logger } from '@libp2p/interface'
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

const ledger = {
  account: 'me',
  transfer: async () => {},
  transferOf: () => ({ amount: 10_000_000n }),
  addEventListener: () => {},
  removeEventListener: () => {}
} as never

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
  const stops: (() => Promise<void> | void)[] = []
  beforeEach(async () => {
    nodes = await startNodes()
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
    book.handOut('0'.repeat(32), nodes.a.peerId.toString(), encodeValue({ maxPrice: 1 }))
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

  it('does not bother its owner with what is wrong with a request', async () => {
    const errors = await serving({ serves: [] })
    await assert.rejects(asking(), { name: 'DelegateError', reason: 'NotServedError' })
    assert.deepEqual(errors, [])
  })
})
