import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { end } from '../harness/process.ts'

/** What libp2p and TCP do without anything around them: round trips and data between two processes. */

const SERVER = fileURLToPath(new URL('stream-server.ts', import.meta.url))
const START_DEADLINE_MS = 20_000
const CHUNK = new Uint8Array(64 * 1024)
// about the size of a tiny job's lease
const PING = new Uint8Array(256)

export const ECHO = '/artel-bench/echo/1'
export const DATA = '/artel-bench/data/1'

export function createNode(listen: string[]): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()]
  })
}

/** A stream of either kind. `send` says whether it takes more at once; `drained` waits until it does. */
export interface Pipe {
  send(data: Uint8Array): boolean
  drained(): Promise<unknown>
  onData(take: (data: Uint8Array) => void): void
}

export function pipeOf(stream: Stream): Pipe {
  stream.inactivityTimeout = 2 ** 31 - 1
  return {
    send: data => stream.send(data),
    drained: () => stream.onDrain(),
    onData: take => stream.addEventListener('message', ({ data }) => take(data.subarray()))
  }
}

export function tcpPipe(socket: Socket): Pipe {
  socket.setNoDelay()
  return {
    send: data => socket.write(data),
    drained: () => once(socket, 'drain'),
    onData: take => void socket.on('data', take)
  }
}

export async function sendAll(bytes: number, { send, drained }: Pipe): Promise<void> {
  for (let left = bytes; left > 0; left -= CHUNK.length)
    if (!send(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)) await drained()
}

/** A question is a number of bytes in a message of its own: positive, they follow; negative, so many are to be sent. */
function question(bytes: number): Buffer {
  const head = Buffer.alloc(8)
  head.writeBigInt64LE(BigInt(bytes))
  return head
}

/** Answers questions: sends what is asked for, and one byte when all that was announced is there. */
export function answer(pipe: Pipe): void {
  let head = Buffer.alloc(0)
  let left = 0
  pipe.onData(data => {
    let rest = data
    if (left === 0) {
      const taken = rest.subarray(0, 8 - head.length)
      head = Buffer.concat([head, taken])
      rest = rest.subarray(taken.length)
      if (head.length < 8) return
      left = Number(head.readBigInt64LE())
      head = Buffer.alloc(0)
      if (left < 0) {
        void sendAll(-left, pipe)
        left = 0
        return
      }
    }
    left -= rest.length
    if (left === 0) pipe.send(Uint8Array.of(1))
  })
}

/** The asking end. Each call takes one measurement in ms. */
function asker(pipe: Pipe) {
  let left = 0
  let come: () => void
  pipe.onData(data => {
    left -= data.length
    if (left <= 0) come()
  })
  const expect = (bytes: number): Promise<void> =>
    new Promise(resolve => {
      left = bytes
      come = resolve
    })
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await work()
    return performance.now() - started
  }
  return {
    in: (bytes: number) =>
      timed(async () => {
        const taken = expect(1)
        pipe.send(question(bytes))
        await sendAll(bytes, pipe)
        await taken
      }),
    out: (bytes: number) =>
      timed(async () => {
        const all = expect(bytes)
        pipe.send(question(-bytes))
        await all
      }),
    ping: () =>
      timed(async () => {
        const back = expect(PING.length)
        pipe.send(PING)
        await back
      })
  }
}

/** `in` is towards the other process, `out` from it. */
export interface Streams extends AsyncDisposable {
  /** ms of one message to the other process and back, on a stream that stays open */
  roundTrip(): Promise<number>
  libp2p: Pick<ReturnType<typeof asker>, 'in' | 'out'>
  tcp: Pick<ReturnType<typeof asker>, 'in' | 'out'>
}

/** Starts the other process and connects to it in both ways. */
export async function startStreams(): Promise<Streams> {
  await using parts = new AsyncDisposableStack()
  const server: ChildProcess = fork(SERVER)
  parts.defer(() => end(server))
  const [{ address, port }] = await once(server, 'message', {
    signal: AbortSignal.timeout(START_DEADLINE_MS)
  })
  const node = await createNode([])
  parts.defer(() => node.stop())
  const open = async (protocol: string) =>
    asker(pipeOf(await node.dialProtocol(multiaddr(address), protocol)))
  const [echo, libp2p] = [await open(ECHO), await open(DATA)]
  const socket = connect(port, '127.0.0.1')
  parts.defer(async () => void socket.destroy())
  await once(socket, 'connect')
  const running = parts.move()
  return {
    roundTrip: echo.ping,
    libp2p,
    tcp: asker(tcpPipe(socket)),
    [Symbol.asyncDispose]: () => running.disposeAsync()
  }
}
