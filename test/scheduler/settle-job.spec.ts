import { strict as assert } from 'node:assert'
import { setImmediate } from 'node:timers/promises'
import { defaultLogger } from '@libp2p/logger'
import { InsufficientCreditsError, UnknownEscrowError } from '../../ledger/index.ts'
import type { JobHandle } from '../../scheduler/jobs/job-handle.ts'
import { createSettlement } from '../../scheduler/jobs/settle-job.ts'

describe('scheduler: settlement of jobs', () => {
  const stopped = new AbortController()
  after(() => stopped.abort())

  /** What is asked of a ledger that knows no escrow, and has so much left for one. */
  function over(left: bigint) {
    const asked: string[] = []
    const escrows = new Set<string>()
    const ledger = {
      account: 'me',
      network: 'test',
      hold: () => Promise.reject(new InsufficientCreditsError(left, 10n)),
      async escrow(job: string, bound: bigint) {
        asked.push('escrow')
        if (bound > left) throw new InsufficientCreditsError(left, bound)
        escrows.add(job)
        return { certified: Promise.resolve() }
      },
      async settle(job: string) {
        asked.push('settle')
        if (!escrows.has(job)) throw new UnknownEscrowError(job)
      }
    }
    const later = async (_: string, write: () => void) => write()
    const store = {
      later,
      safe: async () => {},
      hasFiles: () => false,
      works: () => [],
      settled: () => void asked.push('settled'),
      has: () => true
    }
    const components = { store, ledger, signer: {}, log: defaultLogger().forComponent('test') }
    return { asked, settlement: createSettlement({ signal: stopped.signal }, components as never) }
  }

  const jobOf = (changed: object = {}): JobHandle =>
    ({
      id: 'job',
      init: { bound: 10n },
      report: () => ({ shares: [] }),
      cancel() {},
      ...changed
    }) as unknown as JobHandle

  it('have nothing to settle where nothing was kept back and no peer worked for them', async () => {
    const { asked, settlement } = over(0n)
    assert.equal(await settlement.settle(jobOf()), true)
    assert.deepEqual(asked, ['settle'])
    // one that was secured when it ended, and is no more after a restart, would be settled at every start
    assert.equal(await settlement.settle(jobOf({ init: { bound: 10n, finished: 1 } })), true)
    assert.deepEqual(asked, ['settle', 'settle', 'settled'])
  })

  it('are done with where their bound cannot be reserved and nobody is to be paid', async () => {
    const { asked, settlement } = over(9n)
    const reasons: string[] = []
    const job = jobOf({ cancel: (reason: string) => reasons.push(reason) })
    settlement.secure(job)
    await setImmediate()
    await setImmediate()
    assert.match(reasons.join(), /could not be reserved/)
    assert.equal(await settlement.settle(job), true)
    assert.equal(settlement.isSecured('job'), false)
    assert.equal(asked.at(-1), 'settled')
  })

  it('sign nothing once they have ended', async () => {
    const { asked, settlement } = over(100n)
    settlement.secure(jobOf({ hasEnded: true }))
    await setImmediate()
    await setImmediate()
    assert.deepEqual(asked, [])
  })

  it('sign nothing where they could not be written, also if a peer was given work of them', async () => {
    const { asked, settlement } = over(100n)
    const job = { ...jobOf(), hasEnded: false }
    settlement.secure(job as never)
    settlement.forget('job')
    job.hasEnded = true
    assert.equal(await settlement.settle(job as never), true)
    assert.deepEqual(asked, ['settle'])
  })

  it('are not reserved and paid a second time where the ledger has forgotten their settlement', async () => {
    const { asked, settlement } = over(100n)
    const shares = [{ worker: 'other', paid: 5n, slices: 1 }]
    void settlement.settle(jobOf({ report: () => ({ shares }) }))
    await setImmediate()
    assert.deepEqual(asked, ['settle'])
  })
})
