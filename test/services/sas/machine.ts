/*
 * A gaming machine as it answers over SAS, built from what is known of the protocol and from nothing of the driver.
 * A message is what lies between two silences: the first byte came with the wake-up bit.
 */

export interface MachineInit {
  address: number
  serial?: string
  /** exceptions that wait; one more makes 70 out of the newest */
  queue?: number
  /** how long a transfer stays at 40 */
  transferMs?: number
  /** of who may transfer: a number, and 20 bytes in hex */
  registered?: { asset: number; key: string }
}

const DEAF_AFTER_MS = 5_000
const HANDPAY_EVERY_MS = 15_000
const FIVE_BYTES = [0x0d, 0x0e, 0x0f, 0x10]
const TYPE_S = [0x01, 0x02, 0x06, 0x07, 0x0e, 0x7f, 0x8a, 0x94]
/** length of the data of polls with a CRC that are not M */
const DATA_OF: Record<number, number> = { 14: 1, 127: 7, 138: 5 }
/** type of a transfer: the meter that counts it */
const COUNTED_AS: Record<number, number> = { 0: 0x17, 16: 0x02, 17: 0x02, 128: 0x18 }
const BILLS: Record<number, number> = { 71: 1, 72: 5, 73: 10, 74: 20, 75: 50, 76: 100 }

/** Bit by bit: x^16 + x^12 + x^5 + 1, reflected, from 0. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >> 1) ^ 0x8408 : sum >> 1
  }
  return sum
}

export function sealed(bytes: readonly number[]): Uint8Array {
  const sum = checksum(Uint8Array.from(bytes))
  return Uint8Array.from([...bytes, sum & 0xff, sum >> 8])
}

/** Decimal digits, two in a byte, the first ones first. */
export function digits(value: bigint | number, bytes: number): number[] {
  const text = (BigInt(value) % 10n ** BigInt(2 * bytes)).toString().padStart(2 * bytes, '0')
  return Array.from({ length: bytes }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16))
}

export class Machine {
  readonly address: number
  readonly serial: string
  readonly meters = new Map<number, bigint>()
  /** every exception that happened, in order: what a host must have heard */
  readonly happened: number[] = []
  isLocked = false
  acceptsBills = true
  realTime = false
  clock = ''
  handpay = 0n
  /** transfers and bonuses that were paid: what must not happen twice */
  readonly paid: { kind: string; cents: bigint }[] = []
  /** every message that was for this machine */
  readonly heard: string[] = []
  readonly #queue: number[] = []
  readonly #limit: number
  readonly #transferMs: number
  #last: { message: string; answer: Uint8Array; exception?: number } | undefined
  #polledAt = 0
  #isDeaf = false
  #handpayAt = 0
  /** the host has asked what waits: it is not said again */
  #isHandpayRead = false
  readonly #registered: MachineInit['registered']
  #transfer: { id: string; type: number; status: number; readyAt: number; cents: bigint } | undefined
  readonly #ids = new Set<string>()

  constructor({ address, serial = '000001', queue = 20, transferMs = 300, registered }: MachineInit) {
    this.#registered = registered
    this.address = address
    this.serial = serial
    this.#limit = queue
    this.#transferMs = transferMs
  }

  /** exceptions that nobody has acknowledged */
  get waiting(): number {
    return this.#queue.length
  }
  meter(code: number): bigint {
    return this.meters.get(code) ?? 0n
  }
  add(code: number, value: bigint | number): void {
    const size = BigInt(FIVE_BYTES.includes(code) ? 10 : 8)
    this.meters.set(code, (this.meter(code) + BigInt(value)) % 10n ** size)
  }

  raise(exception: number): void {
    this.happened.push(exception)
    if (this.#queue.length < this.#limit) this.#queue.push(exception)
    else this.#queue[this.#limit - 1] = 0x70
  }

  /** One game: the bet goes in, the win comes out. Credits. */
  play(bet: number, won: number): void {
    this.raise(0x7e)
    this.add(0x00, bet)
    this.add(0x05, 1)
    if (won > 0) {
      this.add(0x01, won)
      this.add(0x06, 1)
    } else this.add(0x07, 1)
    this.raise(0x7f)
  }
  bill(exception: number): void {
    this.add(0x0b, BILLS[exception]!)
    this.add(0x24, BILLS[exception]! * 100)
    this.raise(exception)
  }
  winHandpay(cents: bigint, now: number): void {
    this.handpay = cents
    this.add(0x23, cents)
    this.#handpayAt = now
    this.#isHandpayRead = false
    this.raise(0x51)
  }
  clear(): void {
    this.meters.clear()
    this.raise(0x7a)
  }

  /** What it says by itself: its address, about every 200 ms, once nobody has polled for 5 s. */
  chirp(now: number): number | undefined {
    this.#tick(now)
    return this.#isDeaf ? this.address : undefined
  }

  #tick(now: number): void {
    if (now - this.#polledAt > DEAF_AFTER_MS) this.#isDeaf = true
    if (this.handpay > 0n && !this.#isHandpayRead && now - this.#handpayAt >= HANDPAY_EVERY_MS) {
      this.#handpayAt = now
      this.raise(0x51)
    }
    if (now >= (this.#transfer?.readyAt ?? Number.POSITIVE_INFINITY)) this.#transferred()
  }

  #transferred(): void {
    const transfer = this.#transfer
    if (transfer?.status !== 0x40) return
    transfer.status = 0x00
    this.paid.push({ kind: 'transfer', cents: transfer.cents })
    this.add(COUNTED_AS[transfer.type] ?? 0x17, transfer.cents)
    this.raise(0x69)
  }

  /** The power goes and comes: what was under way is done, or is not. */
  loseSupply(isDone: boolean): void {
    if (isDone) this.#transferred()
    else if (this.#transfer?.status === 0x40) this.#transfer.status = 0x80
    this.#last = undefined
    this.raise(0x17)
  }

  /** The host sends a message; the answer, or nothing. */
  message(bytes: Uint8Array, now: number): Uint8Array | undefined {
    if (bytes.length === 0) return undefined
    this.#tick(now)
    const first = bytes[0]!
    const isGeneral = bytes.length === 1 && first >= 0x80
    const to = isGeneral ? first & 0x7f : first
    if (to !== this.address) {
      // a poll for another one: the last answer has arrived, and whoever was deaf hears again
      this.#acknowledge()
      this.#isDeaf = false
      this.#polledAt = now
      if (to === 0 && !isGeneral) this.#answer(bytes, now)
      return undefined
    }
    if (this.#isDeaf) return undefined
    this.#polledAt = now
    const text = Buffer.from(bytes).toString('hex')
    this.heard.push(text)
    // the same again: it did not arrive
    if (this.#last?.message === text) return this.#last.answer
    if (isGeneral) {
      // an exception that nobody has acknowledged stays the first
      const exception = this.#last?.exception ?? this.#queue[0]
      const answer = Uint8Array.of(exception ?? 0)
      // nothing to say is nothing to repeat
      this.#last = exception == null ? undefined : { message: text, answer, exception }
      return answer
    }
    this.#acknowledge()
    const answer = this.#answer(bytes, now)
    if (answer != null) this.#last = { message: text, answer }
    return answer
  }

  #acknowledge(): void {
    if (this.#last?.exception != null) this.#queue.shift()
    this.#last = undefined
  }

  #answer(bytes: Uint8Array, now: number): Uint8Array | undefined {
    const [, command = 0, ...rest] = bytes
    const me = this.address
    const hasChecksum = bytes.length > 2
    if (hasChecksum && checksum(bytes) !== 0) return undefined
    const data = rest.slice(0, -2)
    const meters = (...codes: number[]): number[] => codes.flatMap(code => digits(this.meter(code), 4))
    const reply = (...body: number[]): Uint8Array => sealed([me, command, ...body])
    const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')]
    if (!hasChecksum) {
      if (command === 0x0f) return reply(...meters(0x04, 0x00, 0x01, 0x24, 0x02, 0x05))
      if (command >= 0x10 && command <= 0x15)
        return reply(...meters([0x04, 0x00, 0x01, 0x24, 0x02, 0x05][command - 0x10]!))
      if (command === 0x1a) return reply(...meters(0x0c))
      if (command === 0x19) return reply(...meters(0x00, 0x01, 0x24, 0x02, 0x05))
      if (command === 0x1c) return reply(...meters(0x00, 0x01, 0x24, 0x02, 0x05, 0x06, 0x26, 0x25))
      if (command === 0x1b) {
        this.#isHandpayRead = true
        return reply(...new Array(22).fill(0))
      }
      if (command === 0x1f) return reply(...ascii('AT000'), 1, 255, 0, 0, 0, ...ascii('63928 9068'))
      if (command === 0x51) return reply(0x00, 0x06)
      if (command === 0x54) return reply(3 + this.serial.length, ...ascii(`602${this.serial}`))
      if (command === 0x55) return reply(0x00, 0x01)
      if (command === 0xb1) return reply(0x01)
      return undefined
    }
    if (TYPE_S.includes(command)) {
      if (data.length !== (DATA_OF[command] ?? 0)) return undefined
      if (command === 0x01 || command === 0x02) this.isLocked = command === 0x01
      if (command === 0x06 || command === 0x07) this.acceptsBills = command === 0x06
      if (command === 0x0e) this.realTime = data[0] === 1
      if (command === 0x7f) this.clock = Buffer.from(data).toString('hex')
      if (command === 0x8a) {
        const cents = BigInt(Buffer.from(data.slice(0, 4)).toString('hex'))
        this.paid.push({ kind: 'bonus', cents })
        this.add(0x02, cents)
        this.raise(0x7c)
      }
      if (command === 0x94) {
        if (this.handpay === 0n) return Uint8Array.of(me | 0x80)
        this.paid.push({ kind: 'handpay', cents: this.handpay })
        this.handpay = 0n
        this.raise(0x52)
      }
      return Uint8Array.of(me)
    }
    const [high = 0, low = 0] = data
    if (command === 0xa0) return reply(high, low, 0xd7, 0xcd, 0x05, 0, 0, 0)
    if (command === 0x52) return reply(high, low, ...meters(0x00, 0x01, 0x02, 0x05))
    if (command === 0x53) return reply(high, low, ...ascii('AT000'), 1, 255, 0, 0, 0, ...ascii('63928 9068'))
    if (command === 0x7b) return reply(...new Array(13).fill(0))
    if (command === 0x2f) {
      const [length = 0, ...list] = data
      if (length !== list.length || length < 2) return undefined
      const codes = list.slice(2)
      const values = codes.flatMap(code => [
        code,
        ...digits(this.meter(code), FIVE_BYTES.includes(code) ? 5 : 4)
      ])
      return reply(2 + values.length, list[0]!, list[1]!, ...values)
    }
    if (command === 0x6f || command === 0xaf) {
      const [length = 0, first = 0, second = 0, ...codes] = data
      if (length !== 2 + codes.length || codes.length % 2 !== 0) return undefined
      const values: number[] = []
      for (let i = 0; i < codes.length; i += 2) {
        const code = codes[i]! | (codes[i + 1]! << 8)
        const size = code > 0xff ? 0 : FIVE_BYTES.includes(code) ? 5 : 4
        values.push(codes[i]!, codes[i + 1]!, size, ...(size === 0 ? [] : digits(this.meter(code), size)))
      }
      return reply(2 + values.length, first, second, ...values)
    }
    if (command === 0x73 && data[0] === 1 && data[1] === 0xff) {
      const { asset, key } = this.#registered ?? { asset: 0, key: '00'.repeat(20) }
      const number = [0, 8, 16, 24].map(shift => (asset >> shift) & 0xff)
      return reply(
        0x1d,
        this.#registered == null ? 0x80 : 0x01,
        ...number,
        ...Buffer.from(key, 'hex'),
        0,
        0,
        0,
        0
      )
    }
    if (command === 0x72) return this.#takeTransfer(data, now)
    return undefined
  }

  #takeTransfer(data: number[], now: number): Uint8Array | undefined {
    const me = this.address
    const [length, code] = data
    const tell = (status: number): Uint8Array => sealed([me, 0x72, 2, 0, status])
    if (code === 0xff) return this.#tellTransfer()
    if (length !== data.length - 1) return undefined
    const idLength = data[44]!
    const id = Buffer.from(data.slice(45, 45 + idLength)).toString('latin1')
    if (this.#transfer?.status === 0x40) return tell(0xc0)
    if (this.#registered == null) return tell(0x88)
    const text = (from: number, to: number): string => Buffer.from(data.slice(from, to)).toString('hex')
    if (Buffer.from(data).readUInt32LE(20) !== this.#registered.asset) return tell(0x93)
    if (text(24, 44) !== this.#registered.key) return tell(0x89)
    if (this.#ids.has(id)) return tell(0x81)
    this.#ids.add(id)
    const cents = BigInt(Buffer.from(data.slice(4, 9)).toString('hex'))
    this.#transfer = { id, type: data[3]!, status: 0x40, readyAt: now + this.#transferMs, cents }
    return this.#tellTransfer()
  }

  /** Of the last one: what, how much, and which; no date, no expiry, no pool, no meters. */
  #tellTransfer(): Uint8Array {
    if (this.#transfer == null) return sealed([this.address, 0x72, 2, 0, 0xff])
    const { id, type, status, cents } = this.#transfer
    const which = [
      0,
      status,
      0xff,
      type,
      ...digits(cents, 5),
      ...new Array(15).fill(0),
      id.length,
      ...Buffer.from(id)
    ]
    const rest = new Array(16).fill(0)
    return sealed([this.address, 0x72, which.length + rest.length, ...which, ...rest])
  }
}
