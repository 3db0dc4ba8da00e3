import { strict as assert } from 'node:assert'
import { defaultLogger } from '@libp2p/logger'
import type { LeasedSlice } from '../../scheduler/protocol/compute-messages.ts'
import type { Batch, Program, Requester } from '../../scheduler/worker/requester.ts'
import { createTurns } from '../../scheduler/worker/turns.ts'

const requester = (id: string): Requester => ({ id, own: false, programs: new Map() }) as unknown as Requester

function programOf(of: Requester, name: string): Program {
  const program = { requester: of, queue: [], running: new Set<Batch>() } as unknown as Program
  of.programs.set(name, program)
  return program
}

/** One slot; what runs is ended by its name. */
function oneSlot(most = 2) {
  const running = new Map<number, () => void>()
  let clock = 0
  const turns = createTurns({
    capacity: () => 1,
    most: () => most,
    isSecured: () => false,
    mayBegin: () => true,
    async run(program, slices) {
      const fetchedAt = areMissing ? undefined : clock
      const batch = { slices, fetchedAt, readyAt: isCold ? undefined : clock } as unknown as Batch
      program.running.add(batch)
      await new Promise<void>(resolve => running.set(slices[0]!.id, resolve))
      program.running.delete(batch)
    },
    now: () => clock,
    log: defaultLogger().forComponent('test')
  })
  let next = 0
  let isCold = false
  let areMissing = false
  return {
    turns,
    /** the processes that begin from now on take their time, and so do the inputs where they are `missing` */
    begin(cold: boolean, missing = false): void {
      isCold = cold
      areMissing = missing
    },
    wait(ms: number): void {
      clock += ms
    },
    running: () => [...running.keys()],
    lease(program: Program, expectedMs: number): number {
      const id = next++
      turns.add(program, { id, expectedMs } as LeasedSlice)
      turns.pump()
      return id
    },
    async end(id: number): Promise<void> {
      running.get(id)!()
      running.delete(id)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
}

describe('scheduler: turns at the slots', () => {
  it('begin what is small beside a full slot, one at a time, of who has nothing that runs', async () => {
    const { running, lease, end } = oneSlot()
    const bulk = programOf(requester('bulk'), 'long')
    const person = programOf(requester('person'), 'short')
    const other = programOf(requester('other'), 'short')
    const [first, second] = [lease(bulk, 200), lease(bulk, 200)]
    assert.deepEqual(running(), [first])
    const small = lease(person, 5)
    assert.deepEqual(running(), [first, small], 'a small one waits for nobody')
    const next = lease(other, 5)
    lease(person, 5)
    assert.deepEqual(running(), [first, small])
    await end(small)
    assert.deepEqual(running(), [first, next], 'one beside the slot, of each in turn')
    await end(first)
    assert.ok(!running().includes(second), 'what is beside the slot keeps it')
  })

  it('begin nothing beside a full slot where no memory is lent for one process more', async () => {
    const { running, lease, end } = oneSlot(1)
    const first = lease(programOf(requester('bulk'), 'long'), 200)
    const small = lease(programOf(requester('person'), 'short'), 5)
    assert.deepEqual(running(), [first])
    await end(first)
    assert.deepEqual(running(), [small])
  })

  it('begin nothing beside a full slot that is not small, also where it was said to be', async () => {
    const { running, lease, end } = oneSlot()
    const first = lease(programOf(requester('bulk'), 'long'), 200)
    const liar = programOf(requester('liar'), 'long')
    lease(liar, 100)
    assert.deepEqual(running(), [first])
    await end(first)
    const [long] = running()
    await end(long!)
    liar.sliceMs = 100
    const again = lease(programOf(requester('bulk'), 'long'), 200)
    lease(liar, 1)
    assert.deepEqual(running(), [again])
  })

  it('end what is long beside a full slot by the time that it runs, not by that in which its process starts', () => {
    const { turns, lease, begin, wait } = oneSlot()
    lease(programOf(requester('bulk'), 'long'), 200)
    const python = programOf(requester('person'), 'python')
    begin(true)
    lease(python, 5)
    wait(10_000)
    assert.equal(turns.overstay(), undefined, 'its process is not there yet')
    const [batch] = python.running as Set<Batch>
    batch!.readyAt = 10_000
    wait(900)
    assert.equal(turns.overstay(), undefined)
    assert.ok(turns.isBeside(batch!.slices))
    wait(200)
    assert.equal(turns.overstay()?.program, python)
    assert.equal(python.sliceMs, 1_100, 'what it ran counts, and waits for a slot next time')
    assert.ok(!turns.isBeside(batch!.slices))
  })

  it('end what waits for its inputs beside a full slot, before others have waited for long', () => {
    const { turns, lease, begin, wait } = oneSlot()
    lease(programOf(requester('bulk'), 'long'), 200)
    const program = programOf(requester('person'), 'by CID')
    begin(true, true)
    lease(program, 5)
    wait(900)
    assert.equal(turns.overstay(), undefined)
    wait(200)
    assert.equal(turns.overstay()?.program, program)
  })

  it('end what never starts beside a full slot', () => {
    const { turns, lease, begin, wait } = oneSlot()
    lease(programOf(requester('bulk'), 'long'), 200)
    const stuck = programOf(requester('liar'), 'endless')
    begin(true)
    lease(stuck, 5)
    wait(22_000)
    assert.equal(turns.overstay()?.program, stuck)
  })
})
