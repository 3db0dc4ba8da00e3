import { strict as assert } from 'node:assert'
import { answerCredits, answerNetwork, type Call, type Caller, OWNER } from '../../services/index.ts'

const callOf = (caller: Caller): Call => ({ caller, signal: new AbortController().signal }) as unknown as Call

describe('services: core', () => {
  it('says that a transfer may go through after the wait for the witnesses has ended', async () => {
    const { timeout } = AbortSignal
    // the wait is over at once
    AbortSignal.timeout = () => AbortSignal.abort(new DOMException('late', 'TimeoutError'))
    try {
      const transfer = async (_: string, __: bigint, { signal }: { signal: AbortSignal }) =>
        signal.throwIfAborted()
      const credits = answerCredits({ ledger: { transfer } as never })
      await assert.rejects(async () => credits.transfer({ to: 'a', amount: 1n }, callOf(OWNER)), {
        name: 'UncertifiedError',
        message: /may still go through: look with artel history/
      })
    } finally {
      AbortSignal.timeout = timeout
    }
  })

  it('searches the network for any name only for the owner', async () => {
    const asked: string[] = []
    const { services } = answerNetwork({
      directory: {
        announced: () => new Map(),
        async *find(name: string) {
          asked.push(name)
          yield* []
        }
      },
      services: { health: () => [] },
      signal: new AbortController().signal
    } as never)
    const input = { find: true, names: ['artel/other/1'] }
    const grant = (scopes: string[]): Caller => ({ is: 'grant', grant: { id: 'g', scopes } })
    await assert.rejects(async () => services(input, callOf(grant(['read']))), { name: 'ForbiddenError' })
    assert.deepEqual(asked, [])
    await services({ find: true }, callOf(grant(['read'])))
    assert.deepEqual(asked, ['artel/compute/1'])
    await services(input, callOf(grant(['admin'])))
    assert.deepEqual(asked, ['artel/compute/1', 'artel/other/1'])
    await services({ find: true, names: ['artel/third/1'] }, callOf(OWNER))
    assert.deepEqual(asked.at(-1), 'artel/third/1')
  })
})
