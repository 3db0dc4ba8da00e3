import { strict as assert } from 'node:assert'
import { Uint8ArrayList } from 'uint8arraylist'
import { followMux } from '../../bootstrap/follow-mux.ts'

// https://github.com/hashicorp/yamux/blob/master/spec.md
const VERSION = 0
const [DATA, WINDOW_UPDATE, PING, GO_AWAY] = [0, 1, 2, 3]
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8]

function frame(type: number, flags: number, stream: number, length: number, data = new Uint8Array(0)) {
  const header = Buffer.alloc(12)
  header.writeUInt8(VERSION, 0)
  header.writeUInt8(type, 1)
  header.writeUInt16BE(flags, 2)
  header.writeUInt32BE(stream, 4)
  header.writeUInt32BE(length, 8)
  return Buffer.concat([header, data])
}
const data = (stream: number, bytes: number, flags = 0) =>
  frame(DATA, flags, stream, bytes, new Uint8Array(bytes).fill(stream))

/** A connection whose library opens a stream for each SYN that reaches it. */
function connection(windows: Record<number, number> = {}) {
  const streams = new Map(Object.entries(windows).map(([id, window]) => [Number(id), window]))
  const passed: Uint8Array[] = []
  const state = { wasted: 0, streams, passed: () => Buffer.concat(passed) }
  const mux = followMux({
    windowOf: id => streams.get(id),
    pass(bytes) {
      const piece = bytes.subarray()
      passed.push(piece)
      if (piece.length >= 12 && (piece[3]! & SYN) !== 0) streams.set(piece[7]!, 256 * 1024)
    },
    waste(ms) {
      state.wasted += ms
    }
  })
  return { ...mux, state }
}

describe('bootstrap: frames of a connection', () => {
  const honest = Buffer.concat([
    data(1, 100, SYN),
    data(1, 256 * 1024 - 12),
    frame(WINDOW_UPDATE, SYN, 3, 0),
    data(3, 40),
    frame(WINDOW_UPDATE, FIN, 3, 0),
    frame(PING, SYN, 0, 7),
    frame(GO_AWAY, 0, 0, 0)
  ])

  /** What frames say: data that follow each other for the same stream as one frame. */
  function said(bytes: Buffer): string[] {
    const frames: { type: number; flags: number; stream: number; length: number; data: Buffer[] }[] = []
    for (let at = 0; at < bytes.length; ) {
      const [type, flags, stream] = [bytes[at + 1]!, bytes.readUInt16BE(at + 2), bytes.readUInt32BE(at + 4)]
      const length = bytes.readUInt32BE(at + 8)
      const data = bytes.subarray(at + 12, at + 12 + (type === DATA ? length : 0))
      at += 12 + data.length
      const last = frames.at(-1)
      if (type !== DATA || last?.type !== DATA || last.stream !== stream) {
        frames.push({ type, flags, stream, length, data: [data] })
        continue
      }
      assert.equal(last.flags & (FIN | RST), 0, 'nothing comes after the end')
      assert.equal(flags & (SYN | ACK), 0, 'a stream begins once')
      last.flags |= flags
      last.length += length
      last.data.push(data)
    }
    return frames.map(({ data, ...rest }) => JSON.stringify([rest, Buffer.concat(data).toString('base64')]))
  }

  it('come in with all that they say, whatever the pieces', () => {
    const all = Buffer.concat([honest, data(5, 300, SYN | FIN), data(7, 200, ACK), data(7, 5, RST)])
    for (const size of [1, 5, 12, 13, 1000, all.length]) {
      const { take, state } = connection({ 7: 1000 })
      for (let at = 0; at < all.length; at += size) take(all.subarray(at, at + size))
      assert.deepEqual(said(state.passed()), said(all), `pieces of ${size}`)
    }
    const { take, state } = connection({ 7: 1000 })
    take(new Uint8ArrayList(all.subarray(0, 7), all.subarray(7)))
    assert.deepEqual(said(state.passed()), said(all))
  })

  it('are not kept until they are whole, also not behind it', () => {
    const { take, state } = connection({ 1: 1 << 20 })
    const whole = data(1, 1 << 20, FIN)
    take(whole.subarray(0, 1000))
    assert.ok(state.passed().equals(data(1, 988)), 'a frame of what has come')
    take(whole.subarray(1000))
    assert.ok(
      state
        .passed()
        .subarray(1000)
        .equals(data(1, (1 << 20) - 988, FIN))
    )
  })

  it('end the connection where they are larger than the window of their stream', () => {
    assert.throws(() => connection({ 1: 999 }).take(frame(DATA, 0, 1, 1000)), { name: 'FramingError' })
    assert.throws(() => connection().take(frame(DATA, SYN, 1, 256 * 1024 + 1)), { name: 'FramingError' })
  })

  it('end the connection where yamux knows no such frame', () => {
    const unknown = Buffer.from(frame(DATA, 0, 1, 0))
    unknown[0] = 1
    for (const bytes of [unknown, frame(4, 0, 1, 0), frame(DATA, 0, 0, 1), frame(PING, SYN, 1, 0)])
      assert.throws(() => connection({ 1: 10 }).take(bytes), { name: 'FramingError' }, bytes.toString('hex'))
  })

  it('are let go where their stream is not there any more, without the rest', () => {
    const { take, state } = connection({ 1: 1000 })
    const bytes = Buffer.concat([data(1, 50), data(5, 4 << 20), frame(WINDOW_UPDATE, 0, 5, 9), data(1, 60)])
    for (let at = 0; at < bytes.length; at += 65_519) take(bytes.subarray(at, at + 65_519))
    assert.ok(state.passed().equals(Buffer.concat([data(1, 50), data(1, 60)])))
    // who took back an upload has four megabytes on the way
    assert.ok(state.wasted > 0 && state.wasted < 100, `${state.wasted} ms`)
  })

  it('are waste where they bring nothing', () => {
    const useless = {
      pings: frame(PING, SYN, 0, 1),
      'windows for nothing': frame(WINDOW_UPDATE, 0, 1, 1),
      nothing: data(1, 0),
      'one byte': data(1, 1),
      'the beginning, again': frame(WINDOW_UPDATE, SYN, 1, 0),
      'the end, again': frame(WINDOW_UPDATE, FIN, 1, 0)
    }
    for (const [name, bytes] of Object.entries(useless)) {
      const { take, state } = connection({ 1: 1000 })
      for (let i = 0; i < 100_000; i++) take(bytes)
      assert.ok(state.wasted > 1_000, `${name}: ${state.wasted} ms`)
    }
  })

  it('are waste where they come byte by byte', () => {
    const { take, state } = connection({ 1: 100_000 })
    take(frame(DATA, 0, 1, 100_000))
    assert.equal(state.wasted, 0)
    for (let i = 0; i < 100_000; i++) take(new Uint8Array(1))
    assert.ok(state.wasted > 1_000, `${state.wasted} ms`)
  })

  it('are no waste where they answer, or bring something', () => {
    const { take, sent, opened, state } = connection({ 1: 1000 })
    for (let i = 0; i < 10_000; i++) {
      sent(50)
      take(frame(WINDOW_UPDATE, 0, 1, 50))
      take(data(1, 50))
    }
    for (let i = 0; i < 10_000; i++) {
      opened()
      for (const flags of [ACK, FIN, RST]) take(frame(WINDOW_UPDATE, flags, 1, 0))
    }
    sent(16 << 20)
    for (let i = 0; i < 256; i++) take(frame(WINDOW_UPDATE, 0, 1, 64 * 1024))
    assert.equal(state.wasted, 0)
  })
})
