import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Random } from '../../simulation/random.ts'
import type { Machine } from './machine.ts'

/** A message is over when the wire is silent for so long; its bytes come at once. */
const SILENCE_MS = 4
const CHIRP_MS = 200

/**
 * Machines behind a converter in the network that marks the wake-up bit as FF 00 XX, and FF as FF FF. Written from that
 * sentence, and from nothing of the driver.
 */
export class TcpWire implements AsyncDisposable {
  readonly machines: Machine[]
  /** every message that came, in hex */
  readonly heard: string[] = []
  port = 0
  /** share of answers with a checksum that lose a byte or have a wrong bit */
  wrong = 0
  isMute = false
  /** what is sent arrives, and nothing comes back */
  isDumb = false
  /** sees each message before a machine does */
  onMessage: ((message: string) => void) | undefined
  readonly #random: Random
  readonly #server = createServer(socket => this.#serve(socket))
  readonly #sockets = new Set<Socket>()
  readonly #chirping: NodeJS.Timeout
  /** of the machines; it stands while this process stands, so that none is deaf because of that */
  #now = Date.now()

  constructor(machines: Machine[], random: Random = Math.random) {
    this.machines = machines
    this.#random = random
    this.#chirping = setInterval(() => {
      this.#now += CHIRP_MS
      for (const machine of this.machines) {
        const byte = this.isMute ? undefined : machine.chirp(this.#now)
        if (byte != null) for (const socket of this.#sockets) socket.write(Uint8Array.of(byte))
      }
    }, CHIRP_MS)
  }

  async listen(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as { port: number }).port
    return `tcp://127.0.0.1:${this.port}`
  }

  /** As a plug that is pulled. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    let raw: number[] = []
    let timer: NodeJS.Timeout | undefined
    socket.on('data', bytes => {
      raw.push(...bytes)
      clearTimeout(timer)
      timer = setTimeout(() => {
        for (const message of messagesIn(raw)) this.#hear(message, socket)
        raw = []
      }, SILENCE_MS)
    })
  }

  #hear(message: number[], socket: Socket): void {
    this.heard.push(Buffer.from(message).toString('hex'))
    if (this.isMute) return
    this.onMessage?.(this.heard.at(-1)!)
    for (const machine of this.machines) {
      const answer = machine.message(Uint8Array.from(message), this.#now)
      if (answer == null || this.isDumb) continue
      const bytes = [...this.#spoilt(answer)].flatMap(byte => (byte === 0xff ? [0xff, 0xff] : [byte]))
      if (bytes.length > 0) socket.write(Uint8Array.from(bytes))
    }
  }

  #spoilt(answer: Uint8Array): Uint8Array {
    if (answer.length === 1 || this.#random() >= this.wrong) return answer
    const at = Math.floor(this.#random() * answer.length)
    if (this.#random() < 0.5) return answer.filter((_, i) => i !== at)
    return answer.map((byte, i) => (i === at ? byte ^ (1 << Math.floor(this.#random() * 8)) : byte))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#chirping)
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Each begins with a byte that has the wake-up bit. */
function messagesIn(raw: readonly number[]): number[][] {
  const messages: number[][] = []
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] !== 0xff) messages.at(-1)?.push(raw[i]!)
    else if (raw[i + 1] === 0xff) messages.at(-1)?.push(raw[++i]!)
    else {
      messages.push([raw[i + 2]!])
      i += 2
    }
  }
  return messages
}
