import { Duplex } from 'node:stream'
import { ACK, FIN, PSH, RST, type Segment, SYN } from './packets.ts'

/** What a frame of Ethernet holds beside the heads. */
const MSS = 1_460
/** What TCP can say without the option for more; on one machine it is far more than is under way. */
const WINDOW = 65_535
const AGAIN_MS = 500
const TRIES = 6

const after = (a: number, b: number): number => (a - b) | 0
const plus = (a: number, bytes: number): number => (a + bytes) >>> 0

/** Sends a segment of this connection; ports are the caller's. */
type Send = (segment: Omit<Segment, 'from' | 'to'>) => void

/**
 * One TCP connection that this side opened (RFC 9293), to a peer on the same wire: nothing overtakes, next to nothing
 * is lost. So what comes out of order is asked for again, and there is no congestion.
 */
export class Connection extends Duplex {
  readonly #send: Send
  /** sent and not acknowledged, and what waits for the window of the peer; begins at #acked */
  #queue = Buffer.alloc(0)
  #acked: number
  #sent: number
  #received = 0
  #window = MSS
  #mss = 536
  #state: 'opening' | 'open' | 'closed' = 'opening'
  #opened: ((error?: Error) => void) | undefined
  /** what the peer was told last that it may send */
  #told = 0
  #finAt: number | undefined
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined
  #tries = 0
  #written: ((error?: Error) => void) | undefined
  #finished: ((error?: Error) => void) | undefined

  constructor(send: Send, first: number) {
    super({ highWaterMark: WINDOW })
    this.#send = send
    this.#acked = first
    this.#sent = first
  }

  override _construct(done: (error?: Error) => void): void {
    this.#opened = done
    this.#say(SYN, this.#acked, Buffer.alloc(0), MSS)
    this.#sent = plus(this.#acked, 1)
    this.#wait()
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error) => void): void {
    this.#queue = Buffer.concat([this.#queue, chunk])
    this.#written = done
    this.#push()
  }

  override _final(done: (error?: Error) => void): void {
    this.#finAt = plus(this.#acked, this.#queue.length)
    this.#finished = done
    this.#push()
  }

  override _read(): void {} // bytes come when the peer sends them

  override read(size?: number): unknown {
    const bytes = super.read(size)
    // a peer that was told that there is no room waits to hear of it
    if (this.#state === 'open' && this.#told < MSS && this.#space() >= MSS) this.#say(ACK, this.#sent)
    return bytes
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    const isWhole = this.#hasEnded && this.#finAt !== undefined && this.#acked === plus(this.#finAt, 1)
    if (this.#state === 'open' && !isWhole) this.#say(RST | ACK, this.#sent)
    this.#state = 'closed'
    done(error)
  }

  #fail(code: string, message: string): void {
    const error = Object.assign(new Error(message), { code })
    // a stream that is being made is destroyed by this and nothing else
    if (this.#opened !== undefined) this.#opened(error)
    else this.destroy(error)
    this.#opened = undefined
  }

  /** A segment of the peer. */
  receive({ seq, ack, flags, window, mss, payload }: Segment): void {
    if (this.#state === 'closed') return
    if ((flags & RST) !== 0) {
      if (this.#state === 'opening') this.#fail('ECONNREFUSED', 'nothing in the guest listens at this port')
      else this.#fail('ECONNRESET', 'the guest broke the connection off')
      return
    }
    if (this.#state === 'opening') {
      if ((flags & (SYN | ACK)) !== (SYN | ACK) || ack !== this.#sent) return
      this.#received = plus(seq, 1)
      this.#mss = Math.min(MSS, Math.max(536, mss ?? 536))
      this.#acked = ack
      this.#state = 'open'
    }
    if ((flags & ACK) !== 0) this.#hear(ack, window)
    if ((flags & SYN) === 0 && (payload.length > 0 || (flags & FIN) !== 0)) this.#take(seq, flags, payload)
    // also where the peer asks, with a number of before, whether there is room now
    else if ((flags & SYN) !== 0 || seq !== this.#received) this.#say(ACK, this.#sent)
    this.#opened?.()
    this.#opened = undefined
    this.#push()
  }

  /** What the peer has. */
  #hear(ack: number, window: number): void {
    this.#window = window
    // it is there, and takes nothing now
    if (window === 0) this.#tries = 0
    const bytes = after(ack, this.#acked)
    if (bytes <= 0 || after(ack, this.#sent) > 0) return
    this.#tries = 0
    this.#queue = this.#queue.subarray(Math.min(bytes, this.#queue.length))
    this.#acked = ack
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#finAt !== undefined && after(ack, this.#finAt) > 0) {
      this.#finished?.()
      this.#finished = undefined
    }
  }

  /** What the peer sends. */
  #take(seq: number, flags: number, payload: Buffer): void {
    const known = after(this.#received, seq)
    // it is asked for what is missing, or told again what is here
    if (known >= 0 && !this.#hasEnded && payload.length - known <= this.#space()) {
      const fresh = payload.subarray(Math.min(known, payload.length))
      this.#received = plus(this.#received, fresh.length)
      if (fresh.length > 0) this.push(Buffer.from(fresh))
      if ((flags & FIN) !== 0 && known <= payload.length) {
        this.#received = plus(this.#received, 1)
        this.#hasEnded = true
        this.push(null)
      }
    }
    this.#say(ACK, this.#sent)
  }

  #space(): number {
    return Math.max(0, WINDOW - this.readableLength)
  }

  /** Sends what the window of the peer allows. */
  #push(): void {
    if (this.#state !== 'open') return
    for (;;) {
      const under = after(this.#sent, this.#acked)
      const payload = this.#queue.subarray(
        under,
        Math.min(under + this.#mss, this.#window, this.#queue.length)
      )
      if (payload.length === 0) break
      this.#say(ACK | PSH, this.#sent, payload)
      this.#sent = plus(this.#sent, payload.length)
    }
    if (this.#sent === this.#finAt) {
      this.#say(FIN | ACK, this.#sent)
      this.#sent = plus(this.#sent, 1)
    }
    if (this.#queue.length < WINDOW) {
      const written = this.#written
      this.#written = undefined
      written?.()
    }
    this.#wait()
  }

  /** Says again what got no answer, more and more seldom. */
  #wait(): void {
    const isDue = this.#sent !== this.#acked || this.#queue.length > 0
    if (!isDue || this.#timer !== undefined) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        if (++this.#tries > TRIES) {
          this.#fail('ETIMEDOUT', 'the guest does not answer')
          return
        }
        if (this.#state === 'opening') this.#say(SYN, this.#acked, Buffer.alloc(0), MSS)
        else if (this.#sent !== this.#acked) {
          this.#sent = this.#acked
          this.#push()
        }
        // a window that was closed is looked at with one byte
        else if (this.#window === 0) {
          this.#say(ACK | PSH, this.#sent, this.#queue.subarray(0, 1))
          this.#sent = plus(this.#sent, 1)
        }
        this.#wait()
      },
      AGAIN_MS * 2 ** Math.min(this.#tries, 4)
    )
  }

  #say(flags: number, seq: number, payload = Buffer.alloc(0), mss?: number): void {
    const ack = (flags & ACK) === 0 ? 0 : this.#received
    this.#told = this.#space()
    this.#send({ seq, ack, flags, window: this.#told, payload, ...(mss === undefined ? {} : { mss }) })
  }
}
