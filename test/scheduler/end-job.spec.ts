import { strict as assert } from 'node:assert'
import { defaultLogger } from '@libp2p/logger'
import { createEnding, type EndingComponents } from '../../scheduler/jobs/end-job.ts'
import { JobHandle } from '../../scheduler/jobs/job-handle.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'

const job = (): JobHandle =>
  new JobHandle({
    id: 'job',
    type: 'map',
    specs: [parseSpec({ type: 'map', items: [1], fn: 'x => x' })],
    bound: 0n,
    submitted: 0,
    state: 'running',
    total: 1,
    load: () => undefined,
    hurry: () => {},
    cancel: () => {}
  })

describe('scheduler: the end of a job', () => {
  it('is no result where something of the job could not be written in the turn before', async () => {
    const turn = Promise.withResolvers<void>()
    const states: string[] = []
    const store = {
      async later(_: string, write: () => void) {
        await turn.promise
        write()
      },
      endJob: (_: string, { state }: { state: string }) => void states.push(state)
    }
    const ending = createEnding(
      { directory: 'here', signal: new AbortController().signal, onEnd: () => {}, onSettled: () => {} },
      {
        store,
        settlement: { isSecured: () => false, settle: async () => true },
        log: defaultLogger().forComponent('test')
      } as unknown as EndingComponents
    )
    const handle = job()
    const completed = ending.complete(handle, { result: [Uint8Array.of(1)], cid: 'cid' })
    ending.cannotStore(handle, new Error('no space left'))
    assert.ok(!handle.hasEnded, 'its row may be on its way')
    turn.resolve()
    await completed
    assert.deepEqual(states, ['failed'])
    await assert.rejects(handle.result(), { name: 'JobFailedError', message: /no space left/ })
  })
})
