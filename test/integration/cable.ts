import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net'

// Another loopback address with the port of the front end: free, because nobody else uses it.
export const BEHIND = '127.77.0.1'
const FRONT = '127.0.0.1'

/**
 * A cable that can be cut: nodes reach a node on `listen` only through `announce`. `hang`: nothing passes, and nobody is
 * told; `cut`: every connection is reset and no new one comes through; `mend` ends either.
 */
export class Cable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #state: 'whole' | 'hanging' | 'cut' = 'whole'

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', socket => this.#connect(socket))
  }

  static async create(): Promise<Cable> {
    const server = createServer({ pauseOnConnect: true }).listen(0, FRONT)
    await once(server, 'listening')
    return new Cable(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** flags of the node behind it */
  get flags(): string[] {
    const at = (host: string): string => `/ip4/${host}/tcp/${this.port}`
    return ['--listen', at(BEHIND), '--announce', at(FRONT)]
  }

  #connect(front: Socket): void {
    if (this.#state === 'cut') {
      front.destroy()
      return
    }
    const back = createConnection({ host: BEHIND, port: this.port })
    for (const [from, to] of [
      [front, back],
      [back, front]
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay()
      from.on('data', data => void to.write(data))
      from.on('end', () => to.end())
      // the other end is told by 'close'
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      if (this.#state === 'hanging') from.pause()
      else from.resume()
    }
  }

  hang(): void {
    this.#state = 'hanging'
    for (const socket of this.#sockets) socket.pause()
  }

  cut(): void {
    this.#state = 'cut'
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  mend(): void {
    this.#state = 'whole'
    for (const socket of this.#sockets) socket.resume()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }
}
