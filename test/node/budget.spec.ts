import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createBudget } from '../../node/cli/budget.ts'

describe('cli: what a stream may cost', () => {
  it('is never exceeded, and all of it can be spent, whatever the jobs pay and in which order they end', () =>
    fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 1n, max: 1000n }),
        fc.integer({ min: 1, max: 4 }),
        fc.infiniteStream(fc.nat(100)),
        async (total, jobs, shares) => {
          const budget = createBudget(total, jobs)
          const open: bigint[] = []
          let spent = 0n
          const end = (): void => {
            const [at, share] = [shares.next().value, shares.next().value]
            const [bound] = open.splice(at % open.length, 1) as [bigint]
            const paid = (bound * BigInt(share)) / 100n || bound
            spent += paid
            budget.end(bound, paid)
          }
          for (;;) {
            // no more than so many run at the same time
            if (open.length === jobs) end()
            const taken = budget.take()
            if (open.length > 0) end()
            const bound = await taken.catch(error => {
              assert.equal(error.name, 'BudgetError')
            })
            if (bound == null) break
            assert.ok(bound > 0n)
            open.push(bound)
            assert.ok(spent + open.reduce((sum, each) => sum + each, 0n) <= total)
          }
          while (open.length > 0) end()
          assert.ok(spent <= total)
        }
      )
    ))

  it('gives the next job what others did not spend', async () => {
    const budget = createBudget(10n, 2)
    assert.deepEqual([await budget.take(), await budget.take()], [5n, 5n])
    const third = budget.take()
    budget.end(5n, 1n)
    assert.equal(await third, 4n)
    budget.end(5n, 5n)
    budget.end(4n, 4n)
    await assert.rejects(budget.take(), { name: 'BudgetError', message: /--max-price/ })
  })
})
