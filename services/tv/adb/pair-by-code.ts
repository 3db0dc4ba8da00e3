import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { adbGeneratePublicKey } from '@yume-chan/adb'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { TvDownError, TvFailedError, TvProtocolError } from '../errors.ts'
import { within } from './deadline.ts'
import type { AdbKey } from './key.ts'
import { createSpake2, type Side } from './spake2.ts'
import { tlsOptions } from './tls.ts'

const VERSION = 1
/** an end's part of the agreement */
const AGREEMENT = 0
/** what an end tells of itself, sealed */
const PEER_INFO = 1
const HEADER_BYTES = 6
const MAX_PACKET_BYTES = 16 * 1024
const PEER_INFO_BYTES = 8192
const RSA_PUBLIC_KEY = 0
const SECRET_BYTES = 64
const TAG_BYTES = 16
/** with the zero byte that ends a text in C; that of the key has none */
const EXPORT_LABEL = 'adb-label\0'
const KEY_LABEL = 'adb pairing_auth aes-128-gcm key'

export interface PairByCode {
  host: string
  /** of the pairing alone; it ends with it */
  port: number
  /** six digits that the TV shows */
  code: string
  key: AdbKey
  deadlineMs: number
  signal: AbortSignal
}

/**
 * Makes this node's key known to a TV by the code on its screen (Wireless debugging, Pair device with pairing code).
 * Whoever stands between the two and does not know the code learns nothing and is not let in.
 *
 * @throws {TvFailedError} another code
 * @throws {TvDownError | TvOverdueError | TvProtocolError}
 */
export async function pairByCode({ host, port, code, key, deadlineMs, signal }: PairByCode): Promise<void> {
  const place = `${host}:${port}`
  signal.throwIfAborted()
  checkWayOut()
  const socket = connect({ host, port, ...tlsOptions(key) })
  // it is told by what waits; without a listener what comes late would end the node
  socket.on('error', () => undefined)
  const onAbort = (): void => void socket.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await within(deadlineMs, `the TV has not paired at ${place}`, async () => {
      await once(socket, 'secureConnect')
      const { exchange, open, seal } = pairingOn(socket, 'client', code)
      await exchange()
      seal(peerInfoOf(key))
      await open()
    })
  } catch (error) {
    signal.throwIfAborted()
    throw (error as Error).name.startsWith('Tv')
      ? error
      : new TvDownError(`${place}: ${(error as Error).message}`)
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}

/** One end of a pairing on a connection: first `exchange`, then each sends the other one thing. */
export function pairingOn(socket: TLSSocket, side: Side, code: string) {
  const packets = packetsOf(socket)
  const exported = socket.exportKeyingMaterial(SECRET_BYTES, EXPORT_LABEL, undefined as never)
  const agreement = createSpake2(
    side,
    Buffer.concat([Buffer.from(code), exported]),
    randomBytes(SECRET_BYTES)
  )
  /** each end seals once, with a nonce that counts from 0 */
  const nonce = Buffer.alloc(12)
  let aes: Buffer

  const send = (type: number, payload: Uint8Array): void => {
    const head = Buffer.of(VERSION, type, 0, 0, 0, 0)
    head.writeUInt32BE(payload.length, 2)
    socket.write(Buffer.concat([head, payload]))
  }
  async function receive(type: number): Promise<Buffer> {
    const { value } = await packets.next().catch((error: Error) => {
      if (error.name.startsWith('Tv')) throw error
      return { value: undefined }
    })
    // it does not say that the code is another: it hangs up
    if (value == null) throw new TvFailedError('the TV has hung up: the code is another, or has run out')
    if (value.type !== type)
      throw new TvProtocolError(`the TV sent ${value.type} in place of ${type} while pairing`)
    return value.payload
  }

  return {
    async exchange() {
      send(AGREEMENT, agreement.message)
      const shared = agreement.keyFrom(await receive(AGREEMENT))
      aes = Buffer.from(hkdfSync('sha256', shared, '', KEY_LABEL, 16))
    },
    seal(plain: Uint8Array) {
      const cipher = createCipheriv('aes-128-gcm', aes, nonce)
      send(PEER_INFO, Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]))
    },
    async open(): Promise<Buffer> {
      const bytes = await receive(PEER_INFO)
      if (bytes.length <= TAG_BYTES) throw new TvProtocolError('the TV sent nothing while pairing')
      const decipher = createDecipheriv('aes-128-gcm', aes, nonce)
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()])
      } catch {
        throw new TvFailedError('the TV shows another code')
      }
    }
  }
}

/** The key as a line of the TV's list, padded. */
function peerInfoOf({ buffer, name }: AdbKey): Buffer {
  const info = Buffer.alloc(PEER_INFO_BYTES)
  info[0] = RSA_PUBLIC_KEY
  info.write(`${Buffer.from(adbGeneratePublicKey(buffer)).toString('base64')} ${name}`, 1)
  return info
}

/** @throws {TvProtocolError} */
async function* packetsOf(socket: TLSSocket): AsyncGenerator<{ type: number; payload: Buffer }> {
  let held = Buffer.alloc(0)
  for await (const chunk of socket) {
    held = Buffer.concat([held, chunk])
    while (held.length >= HEADER_BYTES) {
      const length = held.readUInt32BE(2)
      if (held[0] !== VERSION || length > MAX_PACKET_BYTES)
        throw new TvProtocolError(
          `the TV sent ${held.toString('hex', 0, HEADER_BYTES)}, which is no packet of a pairing`
        )
      if (held.length < HEADER_BYTES + length) break
      const end = HEADER_BYTES + length
      yield { type: held[1]!, payload: held.subarray(HEADER_BYTES, end) }
      held = held.subarray(end)
    }
  }
}
