import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createSandbox, encodeValue, type Outcome, type Sandbox, type Session } from '../../sandbox/index.ts'
import type { FromRequester, FromWorker } from '../../scheduler/protocol/compute-messages.ts'
import { createIdleMeter } from '../../scheduler/worker/idle-meter.ts'
import {
  createPolicy,
  isQuiet,
  type PolicySettings,
  parseQuietHours,
  refusal,
  slotsOf,
  type WorkRequest
} from '../../scheduler/worker/lending-policy.ts'
import { createWorker } from '../../scheduler/worker/worker.ts'
import { amongFriends } from './open-worker.ts'

const OPEN: PolicySettings = {
  slots: 3,
  memoryMb: 512,
  maxSliceMs: 600_000,
  maxRamMb: 8192,
  multiplier: 1,
  minPriceMicro: 0,
  tags: [],
  quietHours: [],
  onlyIdle: false,
  allowed: [],
  denied: [],
  trusted: []
}
const REQUEST: WorkRequest = { requester: 'alice', type: 'map', memoryMb: 256, expectedMs: 200, price: 2000 }

const minute = fc.nat(1439)
const clock = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`

describe("scheduler: worker's policy", () => {
  it('admits everything when the owner sets no limit', () => {
    assert.equal(refusal(OPEN, REQUEST), undefined)
    assert.equal(refusal(OPEN, { requester: 'x', memoryMb: 0, expectedMs: 0 }), undefined)
  })

  it('says why it refuses', () => {
    const cases: [Partial<PolicySettings>, Partial<WorkRequest>, RegExp][] = [
      [{ denied: ['alice'] }, {}, /takes nothing from you/],
      [{ allowed: ['bob'] }, {}, /only from peers on its list/],
      [{ allowed: ['alice'], denied: ['alice'] }, {}, /takes nothing from you/],
      [{ types: ['matrix'] }, {}, /takes matrix, not map/],
      [{ types: ['matrix'] }, { type: undefined }, /without a type/],
      [{}, { memoryMb: 513 }, /needs 513 MB.*lends 512 MB/],
      [{ minPriceMicro: 10_010 }, {}, /at least 10010 micro-credits per CPU second/],
      [{ minPriceMicro: 1 }, { price: undefined }, /at least 1 micro-credits/]
    ]
    for (const [settings, request, reason] of cases)
      assert.match(refusal({ ...OPEN, ...settings }, { ...REQUEST, ...request }) ?? '', reason)
    assert.equal(refusal({ ...OPEN, allowed: ['alice'] }, REQUEST), undefined)
    assert.equal(refusal({ ...OPEN, minPriceMicro: 10_000 }, REQUEST), undefined)
  })

  it('lends no more memory than allowed', () => {
    assert.equal(slotsOf(OPEN), 3)
    assert.equal(slotsOf({ ...OPEN, maxRamMb: 1100 }), 2)
    assert.equal(createPolicy({ ...OPEN, maxRamMb: 1100 }).maxProcesses, 2)
    fc.assert(
      fc.property(
        fc.nat(64),
        fc.integer({ min: 16, max: 4096 }),
        fc.nat(65_536),
        (slots, memoryMb, maxRamMb) => {
          const lent = slotsOf({ ...OPEN, slots, memoryMb, maxRamMb })
          assert.ok(lent >= 0 && lent <= slots && lent * memoryMb <= maxRamMb)
        }
      )
    )
  })

  it('knows quiet hours, also over midnight', () => {
    const night = [parseQuietHours('22:00-07:30')]
    const quiet = (text: string): boolean => isQuiet(night, parseQuietHours(`${text}-00:00`)[0])
    assert.deepEqual(['21:59', '22:00', '03:00', '07:29', '07:30'].map(quiet), [
      false,
      true,
      true,
      true,
      false
    ])
    assert.throws(() => parseQuietHours('22-7'), /22:00-07:00/)
    // a range and its complement cover the day without overlap
    fc.assert(
      fc.property(minute, minute, minute, (from, to, at) => {
        fc.pre(from !== to)
        const range = parseQuietHours(`${clock(from)}-${clock(to)}`)
        assert.notEqual(isQuiet([range], at), isQuiet([[to, from]], at))
      })
    )
  })

  it('is closed in quiet hours only', () => {
    let now = new Date(2026, 0, 1, 23, 0)
    const policy = createPolicy({ ...OPEN, quietHours: ['22:00-07:00'] }, { clock: () => now })
    assert.match(policy.admit(REQUEST) ?? '', /quiet hours/)
    assert.match(policy.closed?.() ?? '', /quiet hours/)
    now = new Date(2026, 0, 2, 12, 0)
    assert.equal(policy.admit(REQUEST), undefined)
  })

  it('does not count its own sandboxes as use of the machine', () => {
    let times = { busyMs: 0, totalMs: 0 }
    const meter = createIdleMeter(() => times)
    let ownMs = 0
    const second = (busyMs: number, own: number): boolean => {
      times = { busyMs: times.busyMs + busyMs, totalMs: times.totalMs + 4000 }
      ownMs += own
      meter.look(ownMs)
      return meter.idle
    }
    assert.equal(meter.idle, false, 'nothing is known yet')
    for (let i = 0; i < 20; i++) second(3000, 3000)
    assert.equal(meter.idle, true, 'three of four cores are busy, all with our own')
    for (let i = 0; i < 20; i++) second(3500, 1500)
    assert.equal(meter.idle, false, 'two cores are busy with something else')
  })

  it('lends only while idle when told so', () => {
    let times = { busyMs: 0, totalMs: 0 }
    const policy = createPolicy({ ...OPEN, onlyIdle: true }, { cpuTimes: () => times, processMs: () => 0 })
    assert.match(policy.admit(REQUEST) ?? '', /the owner uses this machine/)
    for (let i = 0; i < 20; i++) {
      times = { busyMs: times.busyMs, totalMs: times.totalMs + 1000 }
      policy.observe?.(0)
    }
    assert.equal(policy.admit(REQUEST), undefined)
  })
})

describe('scheduler: worker under its policy', () => {
  const load = (program: string): FromRequester => ({
    t: 'load',
    program,
    kind: 'function',
    source: 'x => x',
    timeoutMs: 1000,
    memoryMb: 64
  })
  const lease = (program: string, ids: number[]): FromRequester => ({
    t: 'lease',
    slices: ids.map(id => ({
      id,
      program,
      inputs: [new Uint8Array(1)],
      expectedMs: 1000,
      job: 'job',
      price: 1
    }))
  })

  /** Runs inputs when told to, and remembers whose. */
  function fakeSandbox() {
    const order: string[] = []
    const waiting: (() => void)[] = []
    const sandbox = {
      class: 'test',
      walled: true,
      async open(_: unknown, { requester }: { requester: string }): Promise<Session> {
        return {
          class: 'test',
          said: '',
          async run(inputs) {
            order.push(requester)
            await new Promise<void>(resolve => waiting.push(resolve))
            return inputs.map((value): Outcome => ({ ok: true, value, ms: 1000 }))
          },
          async close() {}
        }
      }
    } as unknown as Sandbox
    return { sandbox, order, waiting }
  }

  const until = async (condition: () => boolean): Promise<void> => {
    const deadline = Date.now() + 60_000
    while (!condition()) {
      assert.ok(Date.now() < deadline, 'in time')
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  it("runs the owner's slices before those of others", async () => {
    const { sandbox, order, waiting } = fakeSandbox()
    const worker = createWorker(
      { policy: createPolicy({ ...OPEN, slots: 1 }), trustsOwn: true, runtimes: [] },
      { ...amongFriends(), sandbox }
    )
    try {
      const stranger = worker.connect('stranger', () => {})
      const owner = worker.connect('owner', () => {}, true)
      stranger.receive(load('a'))
      stranger.receive(lease('a', [1, 2, 3]))
      owner.receive(load('b'))
      owner.receive(lease('b', [4, 5]))
      while (order.length < 5 || waiting.length > 0) {
        await until(() => waiting.length > 0)
        waiting.shift()!()
      }
      assert.deepEqual(order, ['stranger', 'owner', 'owner', 'stranger', 'stranger'])
    } finally {
      worker.stop()
    }
  })

  it('gives a slice no more time than the owner lends, whatever is asked, and calls that no failure', async () => {
    const sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
    const worker = createWorker(
      { policy: createPolicy({ ...OPEN, maxSliceMs: 300, trusted: ['*'] }), trustsOwn: true, runtimes: [] },
      { ...amongFriends(), sandbox }
    )
    const said: FromWorker[] = []
    try {
      const stranger = worker.connect('stranger', message => said.push(message))
      const program = {
        t: 'load',
        program: 'p',
        kind: 'function',
        source: 'x => { while (x); return x }'
      } as const
      stranger.receive({ ...program, timeoutMs: 1e9, memoryMb: 64 })
      const slice = (id: number, input: unknown) => ({
        id,
        program: 'p',
        inputs: [encodeValue(input)],
        expectedMs: 1000,
        job: 'job',
        price: 1
      })
      stranger.receive({ t: 'lease', slices: [slice(1, 1)] })
      await until(() => said.some(({ t }) => t === 'refused'))
      const refused = said.find(message => message.t === 'refused')!
      assert.deepEqual(refused.slices, [1])
      assert.match(refused.reason, /longer than 0.3 s, the most that this worker gives/)
      // on a busy machine what is short may take so long, too
      for (let id = 2; !said.some(({ t }) => t === 'result'); id++) {
        const { length } = said
        stranger.receive({ t: 'lease', slices: [slice(id, 0)] })
        await until(() => said.slice(length).some(({ t }) => t === 'result' || t === 'refused'))
      }
    } finally {
      worker.stop()
      await sandbox.stop()
    }
  })

  it('refuses all slices of a message with one reason, never those of its owner', async () => {
    const { sandbox, order, waiting } = fakeSandbox()
    const policy = createPolicy({ ...OPEN, denied: ['stranger', 'owner'] })
    const worker = createWorker(
      { policy: policy, trustsOwn: true, runtimes: [] },
      { ...amongFriends(), sandbox }
    )
    const told: FromWorker[] = []
    try {
      const stranger = worker.connect('stranger', message => told.push(message))
      stranger.receive(load('a'))
      stranger.receive(lease('a', [1, 2, 3]))
      const refusals = told.filter(message => message.t === 'refused')
      assert.deepEqual(
        refusals.map(({ slices, reason }) => [slices, reason]),
        [[[1, 2, 3], 'this worker takes nothing from you']]
      )
      const owner = worker.connect('owner', () => {}, true)
      owner.receive(load('b'))
      owner.receive(lease('b', [1]))
      await until(() => waiting.length > 0)
      waiting.shift()!()
      assert.deepEqual(order, ['owner'])
    } finally {
      worker.stop()
    }
  })

  it('follows its owner while it runs: what it says, what it takes, how much at a time', async () => {
    const { sandbox, waiting } = fakeSandbox()
    const policy = createPolicy({ ...OPEN, slots: 1 })
    const worker = createWorker(
      { policy: policy, trustsOwn: true, runtimes: [] },
      { ...amongFriends(), sandbox }
    )
    const told: FromWorker[] = []
    const offers = () => told.filter(message => message.t === 'offer')
    const later = async (condition: () => boolean): Promise<void> => {
      const deadline = Date.now() + 60_000
      while (!condition()) {
        assert.ok(Date.now() < deadline, 'in time')
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
    try {
      const stranger = worker.connect('stranger', message => told.push(message))
      stranger.receive(load('a'))
      policy.update({ ...OPEN, slots: 2, minPriceMicro: 9 })
      assert.deepEqual([worker.offer().slots, worker.offer().minPriceMicro], [2, 9])
      await later(() => offers().length === 2)
      assert.deepEqual([offers()[1]?.slots, offers()[1]?.minPriceMicro], [2, 9])
      policy.update({ ...OPEN, slots: 2 })
      stranger.receive(lease('a', [1, 2, 3]))
      await until(() => waiting.length === 2)
      policy.update({ ...OPEN, slots: 0 })
      stranger.receive(lease('a', [4]))
      const refused = told.filter(message => message.t === 'refused')
      assert.deepEqual(
        refused.map(({ slices, reason }) => [slices, reason]),
        [[[4], 'this node lends nothing']]
      )
      // what was taken before is finished
      for (let left = 3; left > 0; left--) {
        await until(() => waiting.length > 0)
        waiting.shift()!()
      }
      await later(() => offers().some(({ slots }) => slots === 0))
    } finally {
      worker.stop()
    }
  })

  it('closes for a machine in use as soon as the owner asks for it, and not before', () => {
    const policy = createPolicy(OPEN, { cpuTimes: () => ({ busyMs: 0, totalMs: 0 }), processMs: () => 0 })
    assert.equal(policy.closed(), undefined)
    policy.update({ ...OPEN, onlyIdle: true })
    assert.match(policy.closed() ?? '', /the owner uses this machine/)
    policy.update(OPEN)
    assert.equal(policy.closed(), undefined)
    policy.update({ ...OPEN, quietHours: ['00:00-00:00'] })
    assert.match(policy.admit(REQUEST) ?? '', /quiet hours/)
  })

  it('offers nothing while it is closed', () => {
    const { sandbox } = fakeSandbox()
    const policy = createPolicy({ ...OPEN, quietHours: ['00:00-00:00'], minPriceMicro: 7, tags: ['gpu'] })
    const worker = createWorker(
      { policy: policy, trustsOwn: true, runtimes: [] },
      { ...amongFriends(), sandbox }
    )
    try {
      const { slots, free, window, minPriceMicro, tags } = worker.offer()
      assert.deepEqual([slots, free, window, minPriceMicro, tags], [0, 0, 0, 7, ['gpu']])
      assert.equal(worker.offer(true).slots, 3, 'the owner may always use it')
    } finally {
      worker.stop()
    }
  })
})
