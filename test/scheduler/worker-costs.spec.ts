import { strict as assert } from 'node:assert'
import type { FromRequester } from '../../scheduler/protocol/compute-messages.ts'
import type { PeerCosts } from '../../scheduler/protocol/peer-costs.ts'
import type { WorkerPolicy } from '../../scheduler/worker/lending-policy.ts'
import { type ComputeWorker, createWorker } from '../../scheduler/worker/worker.ts'
import { createFake } from './fake-sandbox.ts'
import { amongFriends, openPolicy } from './open-worker.ts'
import { connected, lease, load, settle } from './requester-end.ts'

describe('scheduler: what a requester costs a worker', () => {
  let worker: ComputeWorker
  let fake: ReturnType<typeof createFake>
  const connect = () => connected(worker)
  afterEach(() => worker.stop())

  const MB = 1024 * 1024
  function startCounted(policy: Partial<WorkerPolicy> = {}) {
    const counted = { bytes: 0, wastedMs: 0 }
    fake = createFake()
    const costs: PeerCosts = {
      keep(_, bytes) {
        counted.bytes += bytes
        return true
      },
      free(_, bytes) {
        counted.bytes -= bytes
      },
      waste(_, ms) {
        counted.wastedMs += ms
      }
    }
    worker = createWorker(
      { policy: openPolicy(2, policy), trustsOwn: true, runtimes: [] },
      { ...amongFriends(), sandbox: fake.sandbox, costs }
    )
    return counted
  }
  const large = (program: string, part: Partial<Extract<FromRequester, { t: 'load' }>>): FromRequester => ({
    ...(load(program) as Extract<FromRequester, { t: 'load' }>),
    ...part
  })

  for (const [name, part] of Object.entries({
    functions: () => ({
      functions: { reduce: { kind: 'function' as const, source: 'x'.repeat(20 * MB) } }
    }),
    driver: () => ({ driver: 'x'.repeat(20 * MB) }),
    source: () => ({ source: 'x'.repeat(20 * MB) }),
    context: () => ({ context: new Uint8Array(20 * MB) })
  }))
    it(`is bounded for programs with a large ${name}, and counted as wasted where none of them is used`, () => {
      const counted = startCounted()
      const peer = connect()
      for (let i = 0; i < 80; i++) {
        peer.receive(large(`p${i}`, part()), 1)
        assert.ok(counted.bytes <= 33 * MB, `${counted.bytes} bytes are kept`)
      }
      assert.ok(counted.wastedMs >= 78 * 1_040, 'each counts for its bytes, however fast it was read')
      peer.close()
      assert.equal(counted.bytes, 0)
    })

  it('counts large programs an eighth where their slices were refused here, and half where the stream ended', () => {
    const counted = startCounted({ admit: () => 'not today' })
    const peer = connect()
    const cost = (act: () => void): number => {
      const before = counted.wastedMs
      act()
      return counted.wastedMs - before
    }
    const send = (i: number) => (): void => peer.receive(large(`p${i}`, { source: 'x'.repeat(20 * MB) }), 5)
    assert.equal(cost(send(0)), 0)
    assert.equal(cost(send(1)), 1_040, 'nobody asked for the one before')
    const refused = cost(() => peer.receive(lease([1], 'p1'), 0))
    assert.ok(refused > 0 && refused < 5, 'a lease that came to nothing')
    assert.equal(peer.refused().length, 1)
    assert.equal(cost(send(2)), 130, 'it was to be used')
    assert.equal(cost(peer.close), 520)
  })

  it('is given back at once where it is bytes that were never used', () => {
    startCounted()
    const peer = connect()
    // as a large one lies in the message that it came in
    const context = new Uint8Array(20 * MB + 100).subarray(100)
    peer.receive(large('unused', { context }), 5)
    const used = new Uint8Array(20 * MB)
    peer.receive(large('used', { context: used }), 5)
    assert.equal(context.buffer.byteLength, 0)
    peer.receive(lease([1], 'used'))
    peer.close()
    assert.equal(used.length, 20 * MB)
  })

  it('is bounded for inputs that wait, and given back when they are done, revoked or dropped', async () => {
    const counted = startCounted()
    const peer = connect()
    peer.receive(load())
    const before = counted.bytes
    const slices = Array.from({ length: 20 }, (_, id) => ({
      id,
      program: 'p',
      inputs: [new Uint8Array(4 * MB)],
      expectedMs: 1000,
      job: 'job',
      price: 1
    }))
    peer.receive({ t: 'lease', slices })
    assert.equal(counted.bytes - before, 32 * MB)
    assert.deepEqual(peer.refused(), [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    peer.receive({ t: 'revoke', slices: [7] })
    assert.equal(counted.bytes - before, 28 * MB)
    await settle()
    fake.running[0]!.end()
    await settle()
    assert.equal(counted.bytes - before, 24 * MB)
    peer.close()
    for (const run of [...fake.running]) run.end()
    await settle()
    assert.equal(counted.bytes, 0)
  })

  it('counts what was refused, dropped or unknown as wasted, and work that is taken not', () => {
    const counted = startCounted()
    const peer = connect()
    const cost = (message: FromRequester, readMs = 5): number => {
      const before = counted.wastedMs
      peer.receive(message, readMs)
      return counted.wastedMs - before
    }
    assert.equal(cost(lease([1], 'nothing')), 5)
    assert.equal(cost({ t: 'revoke', slices: [9] }), 5)
    assert.ok(cost({ t: 'revoke', slices: [9] }, 0) > 0, 'also where reading it took nothing')
    assert.equal(cost(load()), 0)
    assert.equal(cost(load()), 5, 'it is here already')
    assert.equal(cost(lease([1, 2])), 0)
    assert.equal(cost(load('unused')), 0)
    const before = counted.wastedMs
    peer.close()
    assert.equal(counted.wastedMs - before, 2.5, 'one of the programs was never used')
  })
})
