import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/** Of the length before each message of noise. */
const LENGTH_BYTES = 2
const MOST_BYTES = LENGTH_BYTES + 0xffff
/** Shorter messages may be decrypted in place, and then their bytes are nobody else's. */
const LEAST_SHARED_BYTES = 16 * 1024

/**
 * Hands each message of noise over in one piece. It gives length and body apart; TCP then makes a system call and a packet of
 * either, and the peer wakes up twice: a round trip on loopback gets a fifth shorter. What comes in pieces it copies before it is
 * decrypted; here it is put together in one place that is used again and again, and the memory of the pieces is free at once. As
 * garbage, what one peer sends would be here three times. `inPlace`: long messages are decrypted where they are, too, as in a browser.
 */
export function wholeMessages<Components, Extension>(
  create: (components: Components) => ConnectionEncrypter<Extension>,
  { inPlace = false } = {}
): (components: Components) => ConnectionEncrypter<Extension> {
  return components => {
    const encrypter = create(components)
    const { secureInbound, secureOutbound } = encrypter
    const joined = async <C extends MessageStream, R>(
      connection: C,
      secure: (connection: C) => Promise<R>
    ): Promise<R> => {
      joinSent(connection)
      const joinReceived = gatherer(connection as C & IncomingStream, inPlace)
      const result = await secure(connection)
      joinReceived()
      return result
    }
    encrypter.secureInbound = (connection, options) =>
      joined(connection, each => secureInbound.call(encrypter, each, options))
    encrypter.secureOutbound = (connection, options) =>
      joined(connection, each => secureOutbound.call(encrypter, each, options))
    return encrypter
  }
}

function joinSent(connection: MessageStream): void {
  const { send } = connection
  connection.send = data => send.call(connection, data.subarray())
}

/** What streams of libp2p have beside their interface: the one way in for bytes, and those that wait for a reader. */
interface IncomingStream {
  onData(data: Uint8Array | Uint8ArrayList): void
  readBuffer: Uint8ArrayList
}

/** A place that no message is in. Messages are read where they are whole, so most of the time one is enough for all connections. */
let free: Uint8Array<ArrayBuffer> | undefined

/** Follows what comes in, and gives what begins to join it: once whoever reads has nothing of a message any more when it has it. */
function gatherer(stream: IncomingStream, inPlace: boolean): () => void {
  const { onData } = stream
  const prefix = new Uint8Array(LENGTH_BYTES)
  /** of the message that has begun, its length included */
  let filled = 0
  let bytes = 0
  let message: Uint8Array<ArrayBuffer> | undefined
  let isWanted = false
  let isJoining = false

  const pass = (data: Uint8Array | Uint8ArrayList): void => onData.call(stream, data)

  /** Goes on with the message that has begun, or begins one. Returns where it ends in the piece, or the piece. */
  function follow(piece: Uint8Array, from: number): number {
    let at = from
    while (filled < LENGTH_BYTES && at < piece.length) prefix[filled++] = piece[at++]!
    if (filled < LENGTH_BYTES) return at
    bytes = LENGTH_BYTES + prefix[0]! * 256 + prefix[1]!
    const part = piece.subarray(at, at + bytes - filled)
    if (isJoining) {
      message ??= placeFor(prefix, bytes)
      message.set(part, filled)
    }
    filled += part.length
    if (filled < bytes) return piece.length
    filled = 0
    if (message != null) passJoined(message)
    message = undefined
    return at + part.length
  }

  function passJoined(whole: Uint8Array<ArrayBuffer>): void {
    pass(whole)
    // else whoever reads is not there, or waits
    const isRead = !inPlace && stream.readBuffer.byteLength === 0
    if (isRead && whole.length >= LEAST_SHARED_BYTES) free = new Uint8Array(whole.buffer)
  }

  /** What is whole passes as it is. */
  function join(piece: Uint8Array): void {
    const start = filled > 0 ? follow(piece, 0) : 0
    let end = start
    for (let next = end; next <= piece.length; next = endOf(piece, end)) end = next
    if (end > start) pass(piece.subarray(start, end))
    if (end < piece.length) follow(piece, end)
    if (end === start && piece.buffer instanceof ArrayBuffer && piece.length === piece.buffer.byteLength)
      piece.buffer.transfer(0)
  }

  function take(data: Uint8Array | Uint8ArrayList): void {
    const pieces = data instanceof Uint8Array ? [data] : data
    if (isJoining) {
      for (const piece of pieces) join(piece)
      return
    }
    for (const piece of pieces) for (let at = 0; at < piece.length; ) at = follow(piece, at)
  }

  // what came before anybody could look at it
  take(stream.readBuffer)
  stream.onData = data => {
    const isPassing = !isJoining
    take(data)
    if (isPassing) pass(data)
    isJoining = isWanted && (isJoining || filled === 0)
  }
  return () => {
    isWanted = true
    isJoining = filled === 0
  }
}

/** Where the message ends that begins there; beyond the piece where it goes on after it. */
function endOf(piece: Uint8Array, at: number): number {
  const body = at + LENGTH_BYTES
  return body > piece.length ? Number.POSITIVE_INFINITY : body + piece[at]! * 256 + piece[at + 1]!
}

function placeFor(prefix: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const place = bytes < LEAST_SHARED_BYTES ? new Uint8Array(bytes) : takePlace().subarray(0, bytes)
  place.set(prefix)
  return place
}

/** Nobody else's until its message is whole: the pieces of another may come in between. */
function takePlace(): Uint8Array<ArrayBuffer> {
  const place = free ?? new Uint8Array(MOST_BYTES)
  free = undefined
  return place
}
