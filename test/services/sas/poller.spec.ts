import { deepEqual, equal } from 'node:assert/strict'
import { crcOf } from '../../../services/sas/crc.ts'
import { LineError } from '../../../services/sas/errors.ts'
import { metersOf, metersPoll, readPoll, valuesOf } from '../../../services/sas/frames.ts'
import { createPoller, type Line } from '../../../services/sas/poller.ts'
import { createRandom, type Random } from '../../simulation/random.ts'
import { Machine } from './machine.ts'

const { signal } = new AbortController()
const SEEDS = 20

/**
 * A wire that turns some bytes of answers into others, and loses some. Not of polls: one that arrives as a poll to another
 * machine acknowledges what nobody heard, and no host can know.
 */
class Wire implements Line {
  now = 0
  errors = 0
  readonly machine: Machine
  readonly random: Random
  wrong = 0
  constructor(machine: Machine, random: Random) {
    this.machine = machine
    this.random = random
  }
  async ask(message: Uint8Array): Promise<Uint8Array | undefined> {
    this.now += 40
    const answer = this.machine.message(message, this.now)
    if (answer == null || this.random() < this.wrong) return undefined
    const heard = this.#noisy(answer)
    if (heard.length > 2 && crcOf(heard) !== 0) this.errors++
    return heard
  }
  #noisy(bytes: Uint8Array): Uint8Array {
    return bytes.map(byte =>
      this.random() < this.wrong ? byte ^ (1 << Math.floor(this.random() * 8)) : byte
    )
  }
}

describe('sas: polling', () => {
  it('hears every exception once and in order, and reads meters to the credit', async () => {
    const machine = new Machine({ address: 3 })
    const wire = new Wire(machine, createRandom(1))
    const heard: number[] = []
    const poller = createPoller({
      address: 3,
      line: wire,
      journal: { exception: async code => heard.push(code) }
    })
    const random = createRandom(2)
    for (let i = 0; i < 500; i++) {
      machine.play(1 + Math.floor(random() * 5), random() < 0.3 ? 7 : 0)
      if (random() < 0.1) machine.bill(0x49)
      while ((await poller.general(signal)) !== 0);
      if (i % 50 === 0) {
        const answer = await poller.long(metersPoll(3, 0, [0x24, 0x00, 0x01, 0x06, 0x07]), signal)
        for (const { code, value } of metersOf(3, 0x2f, answer!).meters) equal(value, machine.meter(code))
      }
    }
    deepEqual(heard, machine.happened)
  })

  it('says that an exception was heard only when it is on the disk', async () => {
    const machine = new Machine({ address: 1 })
    const wire = new Wire(machine, createRandom(1))
    machine.raise(0x11)
    machine.raise(0x12)
    const crashing = createPoller({
      address: 1,
      line: wire,
      journal: {
        exception: () => Promise.reject(new Error('the disk is full'))
      }
    })
    await crashing.general(signal).catch(() => undefined)
    // another process, which knows nothing of the first
    const heard: number[] = []
    const again = createPoller({
      address: 1,
      line: wire,
      journal: { exception: async code => heard.push(code) }
    })
    while ((await again.general(signal)) !== 0);
    deepEqual(heard, [0x11, 0x12])
  })

  it('loses none when it is killed, wherever that is', async () => {
    const wrong: number[] = []
    for (let cut = 1, isCut = true; isCut; cut++) {
      const machine = new Machine({ address: 1 })
      const wire = new Wire(machine, createRandom(1))
      const heard: { code: number; mayRepeat: boolean }[] = []
      const happens = [0x11, 0x12, 0x13, 0x13, 0x14]
      let effects = 0
      const tick = (): void => {
        if (++effects >= cut) throw new Error('killed')
      }
      const poll = async (tick: () => void): Promise<void> => {
        const poller = createPoller({
          address: 1,
          line: {
            errors: 0,
            async ask(message) {
              tick()
              const answer = await wire.ask(message)
              tick()
              return answer
            }
          },
          journal: {
            async exception(code, mayRepeat) {
              tick()
              heard.push({ code, mayRepeat })
              tick()
            }
          }
        })
        await poller.general(signal)
        while (happens.length > 0 || machine.waiting > 0) {
          const next = happens.shift()
          if (next != null) machine.raise(next)
          await poller.general(signal)
          await poller.long(readPoll(1, 0x1a), signal)
        }
      }
      await poll(tick).catch((error: Error) => equal(error.message, 'killed'))
      isCut = effects >= cut
      await poll(() => undefined)
      // only the first one after the start may be one that was written already
      const sure = heard.filter(({ mayRepeat }) => !mayRepeat).map(({ code }) => code)
      const all = heard.map(({ code }) => code)
      const are = (codes: number[]): boolean => JSON.stringify(codes) === JSON.stringify(machine.happened)
      if (!are(sure) && !are(all)) wrong.push(cut)
    }
    deepEqual(wrong, [])
  })

  it('loses none, and tells none twice without saying so, wherever the line is cut or its owner stops', async () => {
    const wrong: string[] = []
    for (const how of ['cut before', 'cut after', 'stopped'])
      for (let at = 1, isOver = false; !isOver; at++) {
        const machine = new Machine({ address: 1 })
        const wire = new Wire(machine, createRandom(1))
        const heard: { code: number; mayRepeat: boolean }[] = []
        const stopping = new AbortController()
        let messages = 0
        const line: Line = {
          errors: 0,
          async ask(message, until) {
            until.throwIfAborted()
            messages++
            if (messages === at && how === 'cut before') throw new LineError('cut')
            const answer = await wire.ask(message)
            if (messages === at && how === 'cut after') throw new LineError('cut')
            if (messages === at && how === 'stopped') stopping.abort()
            return answer
          }
        }
        const open = () =>
          createPoller({
            address: 1,
            line,
            journal: { exception: async (code, mayRepeat) => heard.push({ code, mayRepeat }) }
          })
        let poller = open()
        const happens = [0x11, 0x12, 0x13, 0x13, 0x14]
        while (happens.length > 0 || machine.waiting > 0) {
          if (happens.length > 0) machine.raise(happens.shift()!)
          const until = stopping.signal.aborted ? signal : stopping.signal
          try {
            await poller.general(until)
            if (await poller.settle(until)) await poller.once(readPoll(1, 0x1a), until)
            await poller.general(until)
            await poller.long(readPoll(1, 0x1a), until)
          } catch {
            // who stops may be away for so long that the machine is deaf, and forgets with the first lead
            wire.now += how === 'stopped' ? 6_000 : 1_000
            if (how === 'stopped') poller = open()
          }
        }
        isOver = messages < at
        const repeats = heard.findIndex(({ mayRepeat }, i) => mayRepeat && i > 0)
        const codes = heard.map(({ code }) => code)
        if (repeats >= 0 && codes.length > machine.happened.length) codes.splice(repeats, 1)
        if (JSON.stringify(codes) !== JSON.stringify(machine.happened)) wrong.push(`${how} ${at}`)
      }
    deepEqual(wrong, [])
  })

  it('says so neither while the disk fails again and again, nor to a machine that has become deaf meanwhile', async () => {
    const machine = new Machine({ address: 1 })
    const wire = new Wire(machine, createRandom(1))
    const heard: number[] = []
    let isFull = true
    const poller = createPoller({
      address: 1,
      line: wire,
      journal: {
        async exception(code) {
          if (isFull) throw new Error('the disk is full')
          heard.push(code)
        }
      }
    })
    machine.raise(0x11)
    machine.raise(0x12)
    const failing = async (polls: number): Promise<void> => {
      for (let i = 0; i < polls; i++) await poller.general(signal).catch(() => undefined)
    }
    await failing(10)
    wire.now += 6_000
    await failing(10)
    isFull = false
    for (let i = 0; i < 10; i++) await poller.general(signal)
    deepEqual(heard, [0x11, 0x12])
  })

  it('believes no exception on a noisy line that it has not heard twice', async () => {
    const problems: number[] = []
    for (let seed = 1; seed <= SEEDS; seed++) {
      const machine = new Machine({ address: 5 })
      const wire = new Wire(machine, createRandom(seed))
      const heard: number[] = []
      const poller = createPoller({
        address: 5,
        line: wire,
        journal: { exception: async code => heard.push(code) }
      })
      wire.wrong = 0.01
      for (let i = 0; i < 200; i++) {
        machine.play(1, 0)
        for (let turn = 0; turn < 6; turn++) {
          // something with a checksum goes along, so that noise is noticed
          const answer = await poller.long(readPoll(5, 0x1c), signal)
          if (answer != null) equal(valuesOf(5, 0x1c, answer).coinIn, machine.meter(0x00))
          await poller.general(signal)
        }
      }
      wire.wrong = 0
      while ((await poller.general(signal)) !== 0);
      if (JSON.stringify(heard) !== JSON.stringify(machine.happened)) problems.push(seed)
    }
    deepEqual(problems, [])
  })
})
