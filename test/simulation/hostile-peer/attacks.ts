import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import type { MessageStream, Stream } from '@libp2p/interface'
import { frame } from '../../../bootstrap/framing.ts'
import { encodeValue } from '../../../sandbox/index.ts'
import { hostileShapes } from '../../sandbox/hostile-bytes.ts'

/** The node that is attacked, as the attacker sees it. */
export interface Target {
  /** a new stream over the present connection, or over a new one */
  open(protocol: string): Promise<Stream>
  /** every protocol that the node says it speaks */
  protocols(): Promise<string[]>
  /** topics that it listens to */
  topics(): string[]
  publish(topic: string, bytes: Uint8Array): Promise<unknown>
  /** what carries the frames of all streams to the node */
  connection(): Promise<MessageStream>
  subscribe(topic: string): void
  /** of its HTTP API */
  port: number
  signal: AbortSignal
}

/** One round, run again after whatever it threw until the time is over, or until it resolves with 'out': the node holds it off. */
export type Attack = (target: Target) => Promise<unknown>

const MIB = 1 << 20
const FRAME_BYTES = 256 * MIB - 1
const COMPUTE = '/artel/compute/4'
/** Those of Artel itself: their messages are canonical values or dag-cbor behind a length. */
const isOurs = (protocol: string) => protocol.includes('artel') && !protocol.includes('/kad/')

const message = (value: unknown) => frame(encodeValue(value), FRAME_BYTES).subarray()

async function send(stream: MessageStream, bytes: Uint8Array): Promise<void> {
  if (stream.status !== 'open') throw new Error(`the stream is ${stream.status}`)
  for (let at = 0; at < bytes.length; at += 64 * 1024)
    if (!stream.send(bytes.subarray(at, at + 64 * 1024)))
      await stream.onDrain({ signal: AbortSignal.timeout(5_000) })
  // where everything is taken at once, the clock goes on as well
  await setImmediate()
}

/** A stream of its own for these bytes; that one is refused or ended is no reason not to try the next. */
async function sayOver(protocol: string, bytes: Uint8Array, target: Target): Promise<void> {
  try {
    await send(await target.open(protocol), bytes)
  } catch {
    // of no interest here: whether we are still let in is asked at the end
  }
}

/** Made once: it takes longer than it takes the node to be done with them. */
let made: Uint8Array[] | undefined
const shapes = (): Uint8Array[] =>
  (made ??= Object.values(hostileShapes).map(shape => frame(shape(4 * MIB), FRAME_BYTES).subarray()))

const load = (program: string, rest: object = {}) => ({
  t: 'load',
  program,
  kind: 'function',
  source: 'x => x',
  timeoutMs: 1e9,
  memoryMb: 128,
  ...rest
})
const lease = (id: number, program: string) => ({
  id,
  program,
  inputs: [encodeValue(1)],
  expectedMs: 0,
  job: 'j',
  price: 0
})

/** `load` messages of so much each, under a name of its own. */
const fill =
  (rest: object): Attack =>
  async target => {
    const stream = await target.open(COMPUTE)
    const bytes = Buffer.from(message(load('p0000000', rest)))
    const at = bytes.indexOf('p0000000')
    for (let i = 0; !target.signal.aborted; i++) {
      bytes.write(`p${String(i).padStart(7, '0')}`, at)
      await send(stream, Buffer.from(bytes))
    }
  }

/** The same messages over and over, as fast as they are taken. */
const flood =
  (...messages: Uint8Array[]): Attack =>
  async target => {
    const stream = await target.open(COMPUTE)
    const many = Buffer.concat(Array(100).fill(Buffer.concat(messages)))
    while (!target.signal.aborted) await send(stream, many)
  }

/** A frame of yamux, or only its beginning where bytes are announced. */
function muxed(type: 'data' | 'window' | 'ping', flags: number, stream: number, length: number): Buffer {
  const header = Buffer.alloc(12)
  header[1] = ['data', 'window', 'ping'].indexOf(type)
  header.writeUInt16BE(flags, 2)
  header.writeUInt32BE(stream, 4)
  header.writeUInt32BE(length, 8)
  return header
}

/** Frames of yamux without number, of a stream that is open. */
const muxing =
  (make: (stream: number) => Uint8Array): Attack =>
  async target => {
    const stream = (await target.open(COMPUTE)) as Stream & { streamId: number }
    const many = Buffer.concat(Array(1_000).fill(make(stream.streamId)))
    const connection = await target.connection()
    while (!target.signal.aborted) await send(connection, many)
  }

const HEAD =
  'POST /api/v1/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n'

/** 300 connections: `first` at once, and then one byte a second of `rest`, until all of them were closed. */
const slowly =
  (first: string, rest: string): Attack =>
  async target => {
    const sockets = Array.from({ length: 300 }, () => connect(target.port, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write(first)
    for (let at = 0; sockets.some(socket => !socket.closed) && !target.signal.aborted; at++) {
      for (const socket of sockets) if (socket.writable) socket.write(rest[at] ?? 'x')
      await delay(1_000)
    }
    if (sockets.some(socket => !socket.closed)) throw new Error('connections are still open')
    return 'out'
  }

export const attacks: Record<string, Attack> = {
  'functions of 20 MiB': fill({
    functions: Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`f${i}`, { kind: 'function', source: 'x'.repeat(MIB - 1) }])
    )
  }),

  'drivers and contexts': fill({ driver: 'x'.repeat(MIB - 1), context: new Uint8Array(20 * MIB) }),

  'programs whose slices are refused': async target => {
    const stream = await target.open(COMPUTE)
    const context = new Uint8Array(20 * MIB)
    for (let i = 0; !target.signal.aborted; i++) {
      await send(stream, message(load(`p${i}`, { context, memoryMb: 65_536 })))
      await send(stream, message({ t: 'lease', slices: [lease(i, `p${i}`)] }))
    }
  },

  'messages that never end': async target => {
    const streams = await Promise.all(Array.from({ length: 32 }, () => target.open(COMPUTE)))
    const half = frame(new Uint8Array(60 * MIB), FRAME_BYTES).subarray(0, 59 * MIB)
    await Promise.all(streams.map(stream => send(stream, half)))
    await once(target.signal, 'abort')
  },

  'streams without number': async target => {
    while (!target.signal.aborted) await target.open(COMPUTE)
  },

  'shapes that cost decoders most': async target => {
    for (const protocol of (await target.protocols()).filter(isOurs))
      for (const bytes of shapes()) await sayOver(protocol, bytes, target)
  },

  'lengths without end': async target => {
    const bytes = new Uint8Array(4 * MIB).fill(0xff)
    for (const protocol of await target.protocols()) await sayOver(protocol, bytes, target)
  },

  'random frames': async target => {
    for (const protocol of (await target.protocols()).filter(isOurs)) {
      const stream = await target.open(protocol).catch(() => undefined)
      for (let i = 0; stream != null && i < 1_000; i++)
        await send(stream, frame(randomBytes(1024), FRAME_BYTES).subarray())
    }
  },

  'a slot for nothing': async target => {
    const stream = await target.open(COMPUTE)
    await send(stream, message(load('p', { source: '() => { for (;;); }' })))
    for (let id = 0; !target.signal.aborted; id++) {
      await send(stream, message({ t: 'lease', slices: [lease(id, 'p')] }))
      await delay(200, undefined, { signal: target.signal })
    }
  },

  'a slot for a promise': async target => {
    const stream = await target.open(COMPUTE)
    await send(stream, message(load('p', { source: '() => { for (;;); }' })))
    for (let id = 0; !target.signal.aborted; id++) {
      await send(stream, message({ t: 'lease', slices: [{ ...lease(id, 'p'), price: 1e9 }] }))
      await delay(200, undefined, { signal: target.signal })
    }
  },

  'load and unload': flood(message(load('p')), message({ t: 'unload', program: 'p' })),

  'leases of a program that is not there': flood(message({ t: 'lease', slices: [lease(1, 'none')] })),

  'leases without number': async target => {
    const stream = await target.open(COMPUTE)
    await send(stream, message(load('p')))
    for (let id = 0; !target.signal.aborted; id += 1_000)
      await send(
        stream,
        message({ t: 'lease', slices: Array.from({ length: 1_000 }, (_, i) => lease(id + i, 'p')) })
      )
  },

  'revocations of nothing': flood(message({ t: 'revoke', slices: [1, 2, 3] })),

  'garbage in gossip': async target => {
    for (const topic of target.topics()) target.subscribe(topic)
    while (!target.signal.aborted) {
      for (const topic of target.topics())
        await Promise.all(Array.from({ length: 100 }, () => target.publish(topic, randomBytes(256))))
      await delay(1)
    }
  },

  'topics without number': async target => {
    for (let i = 0; !target.signal.aborted; i++) {
      target.subscribe(`topic ${i} ${'x'.repeat(200)}`)
      if (i % 100 === 0) await delay(1)
    }
  },

  'pings of the muxer': muxing(() => muxed('ping', 1, 0, 1)),
  'windows without end': muxing(stream => muxed('window', 0, stream, 1)),
  'frames of nothing': muxing(stream => muxed('data', 0, stream, 0)),
  'frames of one byte': muxing(stream => Buffer.concat([muxed('data', 0, stream, 1), Buffer.of(0x80)])),
  'frames of streams that are not there': muxing(() => muxed('window', 0, 1e9 + 1, 1)),
  'streams that are begun again': muxing(stream => muxed('window', 1, stream, 0)),

  'frames that never end': async target => {
    await target.open(COMPUTE)
    const connection = await target.connection()
    await send(connection, muxed('data', 0, 1e9 + 1, 2 ** 30))
    while (!target.signal.aborted) await send(connection, new Uint8Array(MIB))
  },

  'slow bodies': slowly(HEAD, ''),
  'slow heads': slowly('', HEAD)
}
