import { strict as assert } from 'node:assert'
import { DatabaseSync } from 'node:sqlite'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import { SpecError } from '../../scheduler/errors.ts'
import { createDelegating } from '../../scheduler/jobs/delegate-job.ts'
import { createDelegationBook } from '../../scheduler/jobs/delegation-book.ts'
import { createDelegates, type DelegatesInit } from '../../scheduler/jobs/serve-delegates.ts'
import { UNPAID_LIMIT_MS } from '../../scheduler/market/unpaid-time.ts'
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
      { network: nodes.a, ledger, book: createDelegationBook(new DatabaseSync(':memory:')), logger }
    )
    await delegates.start()
    stops.push(() => delegates.stop())
    return errors
  }

  function asking() {
    const delegating = createDelegating(
      { parse: spec => spec as never },
      {
        network: nodes.b,
        ledger,
        book: createDelegationBook(new DatabaseSync(':memory:')),
        logger: recorder().logger
      }
    )
    stops.push(() => delegating.stop())
    return delegating.submit({ maxPrice: 1 }, nodes.a.peerId.toString())
  }

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

  it('does not bother its owner with what is wrong with a request', async () => {
    const errors = await serving({ serves: [] })
    await assert.rejects(asking(), { name: 'DelegateError', reason: 'NotServedError' })
    assert.deepEqual(errors, [])
  })
})
