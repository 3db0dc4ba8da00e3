import { strict as assert } from 'node:assert'
import { runJob } from '../../node/cli/run-job.ts'
import type { Operations } from '../../node/operations.ts'

describe('cli: a job that is interrupted', () => {
  it('is known, so that it can be cancelled, also where its acknowledgement comes after that', async () => {
    const answer = Promise.withResolvers<object>()
    const compute = { submit: () => answer.promise, follow: () => assert.fail('nobody waits for it') }
    const controller = new AbortController()
    const known: string[] = []
    const onJob = (id: string): void => void known.push(id)
    const { signal } = controller
    const running = runJob({ compute } as never as Operations, { type: 'map' }, { onJob, signal })
    controller.abort(new Error('enough'))
    answer.resolve({ job: { job: 'a1' } })
    await assert.rejects(running, /enough/)
    assert.deepEqual(known, ['a1'])
  })

  it('is not submitted after that', async () => {
    const compute = { submit: () => assert.fail('it was interrupted before') }
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(runJob({ compute } as never as Operations, { type: 'map' }, { signal }), /enough/)
  })
})
