import { strict as assert } from 'node:assert'
import { defaultLogger } from '@libp2p/logger'
import { streamPair } from '@libp2p/utils'
import fc from 'fast-check'
import * as lp from 'it-length-prefixed'
import { encodeValue } from '../../sandbox/index.ts'
import type { FromRequester, FromWorker } from '../../scheduler/protocol/compute-messages.ts'
import { MAX_FRAME_BYTES, MAX_SLICES_PER_MESSAGE } from '../../scheduler/protocol/limits.ts'
import type { PeerCosts } from '../../scheduler/protocol/peer-costs.ts'
import { type Channel, openWorkerChannel } from '../../scheduler/streams/channel.ts'
import { until } from '../bootstrap/nodes.ts'

const log = defaultLogger().forComponent('test')

/** A worker's end, and the bare stream of a requester that may send anything. */
async function open(
  most = MAX_FRAME_BYTES,
  onMessage?: (message: FromRequester) => void,
  onError: () => void = () => {}
) {
  const [stream, remote] = await streamPair()
  const heard: FromRequester[] = []
  const closed: (Error | undefined)[] = []
  let kept = 0
  let wastedMs = 0
  const costs: PeerCosts = {
    keep(_, bytes) {
      if (kept + bytes > most) return false
      kept += bytes
      return true
    },
    free(_, bytes) {
      kept -= bytes
    },
    waste(_, ms) {
      wastedMs += ms
    }
  }
  const channel: Channel<FromWorker> = openWorkerChannel(remote, {
    peer: 'requester',
    costs,
    log: Object.assign((...args: Parameters<typeof log>) => log(...args), log, { error: onError }),
    onMessage: onMessage ?? (message => void heard.push(message)),
    onClose: error => void closed.push(error)
  })
  return { stream, heard, closed, channel, costs: { kept: () => kept, wastedMs: () => wastedMs } }
}

const frame = (value: unknown): Uint8Array => lp.encode.single(encodeValue(value)).subarray()
const slice = { id: 1, program: 'p', inputs: [new Uint8Array(3)], expectedMs: 5, job: 'job', price: 10 }

describe('scheduler/wire', () => {
  it('carries every message both ways, however the bytes are cut', async () => {
    const messages: FromRequester[] = [
      {
        t: 'load',
        program: 'p',
        kind: 'function',
        source: 'x => x',
        timeoutMs: 10,
        memoryMb: 64,
        context: new Uint8Array(5)
      },
      { t: 'lease', slices: [slice] },
      { t: 'revoke', slices: [1, 2] }
    ]
    const bytes = Buffer.concat(messages.map(frame))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 6 }), async cuts => {
        const { stream, heard, closed, channel } = await open()
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
        for (let i = 1; i < at.length; i++)
          if (at[i]! > at[i - 1]!) stream.send(bytes.subarray(at[i - 1], at[i]))
        await until(() => heard.length === messages.length || closed.length > 0, 'all messages')
        assert.deepEqual(heard, messages)
        channel.close()
      }),
      { numRuns: 25 }
    )
  })

  it('ignores fields that it does not know', async () => {
    const { stream, heard, channel } = await open()
    stream.send(frame({ t: 'revoke', slices: [1], news: 'from the future' }))
    await until(() => heard.length === 1, 'the message')
    assert.deepEqual(heard[0], { t: 'revoke', slices: [1] })
    channel.close()
  })

  const malformed: [name: string, bytes: Uint8Array][] = [
    ['no canonical value', lp.encode.single(Uint8Array.of(0xff)).subarray()],
    ['an unknown type', frame({ t: 'hello' })],
    ['a message for the other side', frame({ t: 'alive' })],
    ['no object', frame([1, 2])],
    ['a lease without slices', frame({ t: 'lease', slices: [] })],
    [
      'too many slices',
      frame({ t: 'revoke', slices: Array.from({ length: MAX_SLICES_PER_MESSAGE + 1 }, () => 1) })
    ],
    ['a negative id', frame({ t: 'revoke', slices: [-1] })],
    ['a fraction as id', frame({ t: 'revoke', slices: [1.5] })],
    ['a slice without inputs', frame({ t: 'lease', slices: [{ ...slice, inputs: [] }] })],
    ['inputs that are no bytes', frame({ t: 'lease', slices: [{ ...slice, inputs: ['x'] }] })],
    ['a time that is no number', frame({ t: 'lease', slices: [{ ...slice, expectedMs: Number.NaN }] })],
    ['a negative price', frame({ t: 'lease', slices: [{ ...slice, price: -1 }] })],
    ['a name that is too long', frame({ t: 'lease', slices: [{ ...slice, program: 'p'.repeat(65) }] })],
    ['a frame larger than allowed', varint(MAX_FRAME_BYTES + 1)],
    ['an empty message', Uint8Array.of(0)],
    ['a length that is longer than need be', Uint8Array.of(0x81, 0x00, 0xff)],
    ['a length without end', new Uint8Array(100).fill(0xff)],
    ['a length of 2^53', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)]
  ]
  for (const [name, bytes] of malformed)
    it(`closes the stream after ${name}`, async () => {
      const { stream, heard, closed } = await open()
      stream.send(bytes)
      await until(() => closed.length > 0, 'the end of the stream')
      assert.equal(closed.length, 1)
      assert.deepEqual(heard, [])
      await until(() => stream.status !== 'open', 'the other end learns of it')
    })

  it('counts what malformed messages cost, and what comes in only while it comes', async () => {
    const { stream, closed, costs } = await open()
    const message = frame({ t: 'revoke', slices: [1] })
    stream.send(message.subarray(0, 3))
    await until(() => costs.kept() === message.length - 1, 'the beginning of a message')
    stream.send(message.subarray(3))
    await until(() => costs.kept() === 0, 'its end')
    assert.equal(costs.wastedMs(), 0)
    stream.send(frame({ t: 'hello' }))
    await until(() => closed.length > 0, 'the end of the stream')
    assert.ok(costs.wastedMs() > 0)
    assert.equal(costs.kept(), 0)
  })

  it('counts the time of this thread, not that in which a busy machine did something else', async () => {
    const { stream, closed, costs } = await open(MAX_FRAME_BYTES, undefined, () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    })
    stream.send(frame({ t: 'hello' }))
    await until(() => closed.length > 0, 'the end of the stream')
    assert.ok(costs.wastedMs() < 500, `${costs.wastedMs()} ms for half a second in which nothing was done`)
  })

  it('keeps nothing of a message for which there is no room: the stream ends at its length', async () => {
    const { stream, closed, costs } = await open(1000)
    stream.send(varint(1001))
    await until(() => closed.length > 0, 'the end of the stream')
    assert.match(closed[0]?.message ?? '', /a message of 1001 bytes is more than this node keeps/)
    assert.equal(costs.kept(), 0)
  })

  it('gives back what it kept when the stream ends within a message', async () => {
    const { stream, closed, costs } = await open()
    stream.send(frame({ t: 'revoke', slices: [1] }).subarray(0, 3))
    await until(() => costs.kept() > 0, 'the beginning of a message')
    stream.abort(new Error('cable pulled'))
    await until(() => closed.length > 0, 'the end of the stream')
    assert.equal(costs.kept(), 0)
  })

  it('goes on after a mistake of its own', async () => {
    let calls = 0
    const { stream, closed, channel } = await open(MAX_FRAME_BYTES, () => {
      calls++
      throw new Error('ours')
    })
    stream.send(frame({ t: 'revoke', slices: [1] }))
    stream.send(frame({ t: 'revoke', slices: [2] }))
    await until(() => calls === 2, 'both messages')
    assert.deepEqual(closed, [])
    channel.close()
  })

  it('never throws and never hears what is no message, whatever bytes come', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 5 }),
        async pieces => {
          const { stream, heard, channel } = await open()
          for (const bytes of pieces)
            if (stream.status === 'open') stream.send(lp.encode.single(bytes).subarray())
          await new Promise(resolve => setTimeout(resolve, 3))
          assert.deepEqual(heard, [])
          channel.close()
        }
      ),
      { numRuns: 100 }
    ))

  it('tells exactly once that the other side is gone, and sends nothing afterwards', async () => {
    const { stream, closed, channel } = await open()
    stream.abort(new Error('cable pulled'))
    await until(() => closed.length > 0, 'the end')
    await channel.send({ t: 'alive' })
    channel.close()
    assert.equal(closed.length, 1)
  })
})

function varint(n: number): Uint8Array {
  const bytes: number[] = []
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n & 127) | 128)
  return Uint8Array.of(...bytes, n)
}
