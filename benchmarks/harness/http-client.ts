import { connect, type Socket } from 'node:net'

const HEAD_END = '\r\n\r\n'

/**
 * One kept connection that asks one thing after the other. By hand: the load shares two cores with what is measured,
 * and a general client costs more than the gateway itself.
 */
export class HttpConnection {
  readonly #socket: Socket
  readonly #head: string
  #said: Buffer = Buffer.alloc(0)
  #waiting: PromiseWithResolvers<{ status: number; body: string }> | undefined

  private constructor(socket: Socket, head: string) {
    this.#socket = socket
    this.#head = head
    socket.setNoDelay(true)
    socket.on('data', data => this.#take(data))
    socket.on('close', () => this.#waiting?.reject(new Error('the gateway closed the connection')))
    socket.on('error', error => this.#waiting?.reject(error))
  }

  static async open(url: string, token: string): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url)
    const socket = connect(Number(port), hostname)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new HttpConnection(socket, `host: ${host}\r\nauthorization: Bearer ${token}\r\n`)
  }

  /** Sends and waits; the body of every answer of the API has a length. */
  ask(method: string, path: string, body?: string): Promise<{ status: number; body: string }> {
    const waiting = Promise.withResolvers<{ status: number; body: string }>()
    this.#waiting = waiting
    const about =
      body == null ? '' : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.#head}${about}\r\n${body ?? ''}`)
    return waiting.promise
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(data: Buffer): void {
    this.#said = this.#said.length === 0 ? data : Buffer.concat([this.#said, data])
    const end = this.#said.indexOf(HEAD_END)
    if (end < 0) return
    const head = this.#said.toString('latin1', 0, end)
    const from = end + HEAD_END.length
    const to = from + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#said.length < to) return
    const body = this.#said.toString('utf8', from, to)
    this.#said = this.#said.subarray(to)
    this.#waiting?.resolve({ status: Number(head.slice(9, 12)), body })
  }
}
