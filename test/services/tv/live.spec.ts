import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict'
import { once } from 'node:events'
import { createLive } from '../../../services/tv/live/live.ts'
import { createSplitter, type Unit } from '../../../services/tv/live/split.ts'
import { until } from '../../bootstrap/nodes.ts'
import { PICTURES, SETTINGS } from './fake-video.ts'
import { createFleet } from './fleet.ts'

const KEY = Buffer.concat([SETTINGS, PICTURES[0]!])
/** each start code has a zero before it, which may stand behind the picture before */
const withoutZeros = ({ bytes }: Unit): string =>
  Buffer.from(bytes).toString('hex').replace(/^0+1/, '').replace(/0+$/, '')

describe('tv: live video', function () {
  this.timeout(600_000)

  it('is cut into pictures wherever it is broken, with the settings before each key picture', () => {
    const stream = Buffer.concat([SETTINGS, ...PICTURES])
    const wanted = PICTURES.map((bytes, i) => ({
      isKey: i % 10 === 0,
      bytes: i % 10 === 0 ? Buffer.concat([SETTINGS, bytes]) : bytes
    }))
    for (const size of [1, 2, 3, 5, 17, 100, stream.length]) {
      const splitter = createSplitter()
      const units: Unit[] = []
      for (let at = 0; at < stream.length; at += size)
        units.push(...splitter.push(stream.subarray(at, at + size)))
      units.push(...splitter.flush())
      deepEqual(
        units.map(each => each.isKey),
        wanted.map(each => each.isKey)
      )
      deepEqual(units.map(withoutZeros), wanted.map(withoutZeros))
    }
    // one picture of two slices, then garbage
    const two = createSplitter()
    const slice = Buffer.of(0, 0, 1, 0x65, 0x80, 7)
    const rest = Buffer.of(0, 0, 1, 0x65, 0x40, 7)
    deepEqual(two.push(Buffer.concat([Buffer.of(9, 9), slice, rest, slice])).length, 1)
    equal(two.flush()[0]!.bytes.length, slice.length)
    deepEqual(
      [two.flush(), createSplitter().push(Buffer.alloc(1000, 7)), createSplitter().flush()],
      [[], [], []]
    )
    throws(() => createSplitter().push(Buffer.concat([slice, Buffer.alloc(3_000_000, 7)])), {
      name: 'TvProtocolError'
    })
  })

  it('is recorded once for all who watch, and while somebody does; who reads slowly goes on at a key picture', async () => {
    const running = new Set<AbortSignal>()
    let begun = 0
    let push: (bytes: Uint8Array) => void = () => undefined
    const live = createLive(async function* (signal) {
      begun++
      running.add(signal)
      let wake = Promise.withResolvers<Uint8Array>()
      push = bytes => wake.resolve(bytes)
      signal.addEventListener('abort', () => wake.reject(signal.reason))
      try {
        for (;;) {
          const bytes = await wake.promise
          wake = Promise.withResolvers()
          if (bytes.length === 0) return
          yield bytes
        }
      } finally {
        running.delete(signal)
      }
    })
    const leave = new AbortController()
    const first = live.watch(leave.signal)
    const asked = first.next()
    push(KEY)
    // the screen stands still: nothing comes that would end the picture
    ok((await asked).value!.isKey)
    const second = live.watch(leave.signal)
    ok((await second.next()).value!.isKey, 'who comes later sees what the others see')
    equal(begun, 1)
    // it ends by itself and is begun anew
    push(new Uint8Array())
    await until(() => begun === 2, 'it is recorded anew')
    await until(() => running.size === 1, 'it runs')

    // 13 MB that the second one reads; the first one misses what is more than its 8 MB, until the last one
    const large = Buffer.concat([PICTURES[1]!, Buffer.alloc(1_900_000, 7)])
    for (let i = 0; i < 7; i++) {
      push(i === 6 ? KEY : i === 0 ? Buffer.concat([KEY, large]) : large)
      const { value } = await second.next()
      equal(value!.isKey, i === 0 || i === 6)
      if (i === 0) await second.next()
    }
    ok((await first.next()).value!.isKey)
    push(PICTURES[2]!)
    deepEqual([(await first.next()).value!.isKey, (await second.next()).value!.isKey], [false, false])
    leave.abort(new Error('no more'))
    await rejects(first.next(), { message: 'no more' })
    await rejects(second.next(), { message: 'no more' })
    await until(() => running.size === 0, 'nobody watches, nothing is recorded')
    equal(begun, 2)
  })

  it('has an end of who may watch', async () => {
    const live = createLive(async function* (signal) {
      await once(signal, 'abort')
      yield KEY
    })
    const leave = new AbortController()
    const watching = Array.from({ length: 32 }, () => live.watch(leave.signal).next())
    await rejects(live.watch(leave.signal).next(), { name: 'TvFailedError' })
    leave.abort(new Error('gone'))
    for (const each of watching) await rejects(each, /gone/)
  })

  it('comes from a TV of another node, to who may look there', async () => {
    await using fleet = createFleet()
    const { place, daemon } = await fleet.tv('tv-1')
    const operator = await fleet.start()
    const agent = await fleet.start({ tvs: [place], grants: [`${operator.id} read`] })
    await operator.up(1)
    const open = async () => {
      const { chunks } = await operator.call<{ chunks: AsyncIterable<Uint8Array> }>('live', {
        on: 'name=tv-1'
      })
      return chunks[Symbol.asyncIterator]()
    }
    const [one, other] = [await open(), await open()]
    try {
      const head = Buffer.from((await one.next()).value!)
      deepEqual([head.readUInt32BE(0), head[4]], [head.length - 5, 1])
      ok(head.includes(SETTINGS.subarray(1)))
      equal((await other.next()).value![4], 1)
      equal(daemon.recordings, 1)
      // as after three minutes: it ends, and is recorded anew
      daemon.recordingPictures = 3
      while (daemon.recordings < 3) await one.next()
    } finally {
      await one.return!()
      await other.return!()
    }
    await until(() => daemon.recording === 0, 'nobody watches, nothing is recorded')

    daemon.recordingPictures = 0
    await rejects(open(), { message: /does not record/ })
    await agent.grant([])
    await rejects(open(), { message: /names 0 TVs/ })
    await rejects(operator.ask(agent.id, 'watch', { tv: 'tv-1' }), { message: /no grant/ })
  })
})
