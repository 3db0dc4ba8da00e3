import { deepEqual, rejects } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { eachOf } from '../../../services/host/index.ts'

describe('host: work for each of many', () => {
  it('begins no other once one has thrown, also of those that others would take', async () => {
    const begun: number[] = []
    const held = Promise.withResolvers<void>()
    const all = eachOf([0, 1, 2, 3, 4, 5], 2, async item => {
      begun.push(item)
      if (item === 1) throw new Error('no')
      await held.promise
    })
    await rejects(all, /no/)
    held.resolve()
    await setImmediate()
    deepEqual(begun, [0, 1])
  })
})
