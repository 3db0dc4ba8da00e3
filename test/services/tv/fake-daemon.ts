import { constants, createPublicKey, type KeyObject, publicDecrypt, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { quietPort } from '../quiet-port.ts'
import { FakeSync } from './fake-sync.ts'
import { fakeTls } from './fake-tls.ts'
import { FakeTv } from './fake-tv.ts'
import { PICTURES, SETTINGS } from './fake-video.ts'

const CNXN = 0x4e584e43
const AUTH = 0x48545541
const OPEN = 0x4e45504f
const OKAY = 0x59414b4f
const CLSE = 0x45534c43
const WRTE = 0x45545257
const STLS = 0x534c5453
const TLS_VERSION = 0x01000000
const HEADER = 24
const PICTURE_MS = 20
const VERSION = 0x01000001
const OLD_VERSION = 0x01000000
const MAX_DATA = 256 * 1024
const FEATURES = 'shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir'
/** DigestInfo of SHA-1, which stands before what is signed (RFC 8017) */
const SHA1_PREFIX = Buffer.from('3021300906052b0e03021a05000414', 'hex')

export interface FakeDaemonInit {
  tv?: FakeTv
  /** shell v1 and checksums, as before Android 7 */
  isOld?: boolean
  /** what it does with a key that it does not know; default: takes it */
  newKeys?: 'take' | 'ask' | 'refuse'
  /** nobody has to prove anything */
  isOpen?: boolean
  /** wireless debugging: TLS in place of signatures, and keys come by a code */
  isTls?: boolean
}

/** From which packet on it is mute. */
export type Mute = 'accept' | 'connect' | 'auth' | 'open' | 'data'

interface Stream {
  remote: number
  /** what waits for the other end's OKAY */
  queue: Buffer[]
  isWaiting: boolean
  isEnding: boolean
  onData(data: Buffer): void
  onEnd?(): void
}

/** The ADB daemon of a TV, on a port of this machine: the six packets, proof of keys, shell, exec and sync. */
export class FakeDaemon implements AsyncDisposable {
  readonly tv: FakeTv
  readonly keys: KeyObject[] = []
  /** names that came with public keys */
  readonly offered: string[] = []
  /** services that were opened */
  readonly opened: string[] = []
  mute?: Mute
  /** the next packet is no packet, says that it is huge, or is of no kind that there is */
  spoil?: 'magic' | 'length' | 'command'
  /** streams that the other end closed before their end */
  givenUp = 0
  /** recordings of the screen: begun, and those that go on */
  recordings = 0
  recording = 0
  /** pictures of one recording; then it ends, as it does after three minutes */
  recordingPictures = Number.POSITIVE_INFINITY
  /** the connection is cut after so many bytes of files */
  cutAfterBytes?: number
  newKeys: 'take' | 'ask' | 'refuse'
  port = 0
  private readonly isOld: boolean
  private readonly isOpen: boolean
  private readonly isTls: boolean
  private server?: Server
  readonly sockets = new Set<Socket>()
  private waiting: (() => void)[] = []

  constructor({
    tv = new FakeTv(),
    isOld = false,
    newKeys = 'take',
    isOpen = false,
    isTls = false
  }: FakeDaemonInit = {}) {
    this.tv = tv
    this.isOld = isOld
    this.newKeys = newKeys
    this.isOpen = isOpen
    this.isTls = isTls
  }

  async listen(): Promise<string> {
    this.server = createServer(socket => this.serve(socket))
    // the same again where its power comes back
    while (this.port === 0) {
      const port = await quietPort()
      this.server.listen(port, '127.0.0.1')
      // another may have taken it meanwhile
      const isMine = await once(this.server, 'listening').then(
        () => true,
        ({ code }) => code !== 'EADDRINUSE' && Promise.reject(new Error(code))
      )
      if (isMine) this.port = port
    }
    if (!this.server.listening) await once(this.server.listen(this.port, '127.0.0.1'), 'listening')
    return `127.0.0.1:${this.port}`
  }

  /** Somebody presses "always allow" on the screen. */
  allow(): void {
    for (const each of this.waiting.splice(0)) each()
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    if (this.server?.listening !== true) return
    this.server.close()
    await once(this.server, 'close')
  }

  /** What `screenrecord` writes: the screen of this moment, then one picture after the other. @returns what ends it */
  private record(write: (data: Uint8Array) => void, end: () => void): () => void {
    this.recordings++
    this.recording++
    let at = 0
    write(SETTINGS)
    const timer = setInterval(() => {
      if (at < this.recordingPictures) return write(PICTURES[at++ % PICTURES.length]!)
      stop()
      end()
    }, PICTURE_MS)
    const stop = (): void => {
      if (timer.hasRef()) this.recording--
      timer.unref()
      clearInterval(timer)
    }
    return stop
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket)
    socket.setNoDelay()
    socket.on('error', () => socket.destroy())
    const streams = new Map<number, Stream>()
    socket.on('close', () => {
      this.sockets.delete(socket)
      for (const { onEnd } of streams.values()) onEnd?.()
    })
    let token = Buffer.alloc(0)
    let isKnown = false
    let wire: Socket = socket
    let next = 1
    let buffered = Buffer.alloc(0)

    const send = (kind: number, arg0: number, arg1: number, data: Uint8Array = Buffer.alloc(0)): void => {
      const command = this.spoil === 'command' ? 0x3f3f3f3f : kind
      const head = Buffer.alloc(HEADER)
      head.writeUInt32LE(command, 0)
      head.writeUInt32LE(arg0, 4)
      head.writeUInt32LE(arg1, 8)
      head.writeUInt32LE(this.spoil === 'length' ? 0xf0000000 : data.length, 12)
      head.writeUInt32LE(
        data.reduce((sum, byte) => sum + byte, 0),
        16
      )
      head.writeUInt32LE((command ^ (this.spoil === 'magic' ? 0 : 0xffffffff)) >>> 0, 20)
      this.spoil = undefined
      if (!wire.destroyed) wire.write(Buffer.concat([head, data]))
    }
    const flush = (local: number, stream: Stream): void => {
      if (stream.isWaiting) return
      const data = stream.queue.shift()
      if (data != null) {
        stream.isWaiting = true
        send(WRTE, local, stream.remote, data)
      } else if (stream.isEnding) {
        streams.delete(local)
        send(CLSE, local, stream.remote)
      }
    }
    const welcome = (): void => {
      isKnown = true
      const { model } = this.tv
      const features = this.isOld ? '' : `features=${FEATURES}`
      send(
        CNXN,
        this.isOld ? OLD_VERSION : VERSION,
        this.isOld ? 4096 : MAX_DATA,
        Buffer.from(`device::ro.product.name=tv;ro.product.model=${model};ro.product.device=tv;${features}`)
      )
    }
    const ask = (): void => {
      token = randomBytes(20)
      send(AUTH, 1, 0, token)
    }

    const open = (remote: number, service: string): unknown => {
      const local = next++
      this.opened.push(service)
      const write = (data: Uint8Array): void => {
        for (let at = 0; at < data.length; at += 4096 * 8)
          stream.queue.push(Buffer.from(data.subarray(at, at + 4096 * 8)))
        flush(local, stream)
      }
      const end = (): void => {
        stream.isEnding = true
        flush(local, stream)
      }
      const stream: Stream = { remote, queue: [], isWaiting: false, isEnding: false, onData: () => {} }
      const [, kind, command] = /^(shell[^:]*|exec|sync|reboot):([\s\S]*)$/.exec(service) ?? []
      if (kind == null || (this.isOld && kind.includes('v2'))) return send(CLSE, 0, remote)
      streams.set(local, stream)
      send(OKAY, local, remote)
      if (kind === 'sync') {
        const sync = new FakeSync(this.tv, write, end)
        stream.onData = data => {
          if (this.cutAfterBytes != null) this.cutAfterBytes -= data.length
          if ((this.cutAfterBytes ?? 1) > 0) return sync.take(data)
          this.cutAfterBytes = undefined
          socket.destroy()
        }
        return undefined
      }
      if (command!.startsWith('screenrecord ')) {
        stream.onEnd = this.record(write, end)
        return undefined
      }
      const { out, code } = this.tv.shell(kind === 'reboot' ? 'reboot' : command!)
      if (this.mute === 'data') return undefined
      if (kind.includes('v2')) {
        for (let at = 0; at < out.length; at += 30_000)
          write(shellPacket(1, out.subarray(at, Math.min(at + 30_000, out.length))))
        write(shellPacket(3, Uint8Array.of(code)))
      } else if (out.length > 0) write(out)
      return end()
    }

    const take = (command: number, arg0: number, arg1: number, data: Buffer): void => {
      if (this.mute === 'accept') return
      if (command === CNXN) {
        if (this.mute === 'connect') return
        isKnown = false
        if (this.isTls) send(STLS, TLS_VERSION, 0)
        else if (this.isOpen) welcome()
        else ask()
      } else if (command === STLS && this.isTls && wire === socket) {
        // what has come behind it is TLS already
        socket.off('data', onData).pause()
        socket.unshift(buffered.subarray(HEADER))
        buffered = buffered.subarray(0, HEADER)
        const secure = new TLSSocket(socket, { isServer: true, ...fakeTls() })
        wire = secure
        secure.on('error', () => socket.destroy())
        secure.once('secure', () => {
          const shown = secure.getPeerX509Certificate()?.publicKey
          if (shown != null && this.keys.some(key => key.equals(shown))) welcome()
          else socket.destroy()
        })
        secure.on('data', onData)
      } else if (command === AUTH) {
        if (this.mute === 'auth') return
        if (arg0 === 2) {
          if (this.keys.some(key => isSigned(key, token, data))) welcome()
          else ask()
        } else if (arg0 === 3) {
          const [, text, name = ''] = /^(\S+) ?(.*?)\0?$/s.exec(data.toString())!
          this.offered.push(name)
          const key = androidKey(Buffer.from(text!, 'base64'))
          const accept = (): void => {
            this.keys.push(key)
            welcome()
          }
          if (this.newKeys === 'take') accept()
          else if (this.newKeys === 'ask') this.waiting.push(accept)
        }
      } else if (!isKnown) {
        socket.destroy()
      } else if (command === OPEN) {
        if (this.mute !== 'open') open(arg0, data.toString().replace(/\0$/, ''))
      } else if (command === OKAY) {
        const stream = streams.get(arg1)
        if (stream != null && this.mute !== 'data') {
          stream.isWaiting = false
          flush(arg1, stream)
        }
      } else if (command === WRTE) {
        const stream = streams.get(arg1)
        if (stream == null || this.mute === 'data') return
        send(OKAY, arg1, arg0)
        stream.onData(data)
      } else if (command === CLSE) {
        streams.get(arg1)?.onEnd?.()
        if (!streams.delete(arg1)) return
        this.givenUp++
        send(CLSE, arg1, arg0)
      }
    }

    const onData = (chunk: Buffer): void => {
      buffered = Buffer.concat([buffered, chunk])
      while (buffered.length >= HEADER) {
        const length = buffered.readUInt32LE(12)
        if (buffered.length < HEADER + length) return
        const data = buffered.subarray(HEADER, HEADER + length)
        take(buffered.readUInt32LE(0), buffered.readUInt32LE(4), buffered.readUInt32LE(8), data)
        buffered = buffered.subarray(HEADER + length)
      }
    }
    socket.on('data', onData)
  }
}

/** id, length, bytes: how shell v2 tells output from the exit code */
function shellPacket(id: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(id, 0)
  head.writeUInt32LE(data.length, 1)
  return Buffer.concat([head, data])
}

/** The token takes the place of a SHA-1 digest. */
function isSigned(key: KeyObject, token: Buffer, signature: Buffer): boolean {
  try {
    const plain = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature)
    return plain.equals(Buffer.concat([SHA1_PREFIX, token]))
  } catch {
    // signed by another key
    return false
  }
}

/** Android's form: words of the modulus, n0inv, modulus and R^2 with the least byte first, exponent. */
export function androidKey(bytes: Buffer): KeyObject {
  const words = bytes.readUInt32LE(0)
  if (words !== 64 || bytes.length !== 8 + 2 * 256 + 4) throw new Error(`a key of ${words} words`)
  const modulus = Buffer.from(bytes.subarray(8, 8 + 256)).reverse()
  const exponent = Buffer.alloc(4)
  exponent.writeUInt32BE(bytes.readUInt32LE(8 + 512))
  return createPublicKey({
    format: 'jwk',
    key: {
      kty: 'RSA',
      n: modulus.toString('base64url'),
      e: exponent.subarray(exponent.findIndex(byte => byte !== 0)).toString('base64url')
    }
  })
}
