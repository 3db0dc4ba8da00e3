import { deepEqual, equal, rejects } from 'node:assert/strict'
import { createDeadline, startDeadline } from '../../../services/index.ts'

/** This process has no turn for so long. */
const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

describe('host: deadlines', () => {
  it('leave an answer alone that came while the process stood still', async () => {
    using deadline = createDeadline('reading', 50, [])
    // as what a socket gives, after the timers that are due
    const answer = deadline.within(new Promise(resolve => setImmediate(resolve, 'it')))
    standStill(300)
    equal(await answer, 'it')
  })

  it('end what does not come, once, also where the process stood still', async () => {
    using deadline = createDeadline('waiting', 50, [])
    const answer = deadline.within(new Promise(() => {}))
    standStill(300)
    await rejects(answer, { name: 'OverdueError', message: 'waiting took more than 50 ms' })
  })

  it('begin anew where something happened, and end with who waits', async () => {
    const late: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const stopped = startDeadline(1, () => late.push('stopped'))
    const again = startDeadline(40, () => {
      late.push('again')
      resolve()
    })
    stopped.again()
    stopped.stop()
    again.again()
    await promise
    deepEqual(late, ['again'])
  })
})
