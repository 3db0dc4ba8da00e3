import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { packageVersion } from '../harness/report.ts'
import { FOLDER, GET, load } from './pools.ts'

/*
 * Pando (Lavoie and others, "Personal Volunteer Computing", 2019) lends a stream of items to volunteers' pages. Its command
 * cannot be installed any more (a dependency from GitHub, and Electron); this is what it is made of, put together as its
 * bin/index.js and src/browser.js do for volunteers over WebSocket, but for gzip of each result: so it is a bit faster.
 */

type Callback = (error: unknown, value?: unknown) => void
type Source = (abort: boolean | Error | null, take: Callback) => void

/** Its command's option --batch-size: items under way to a volunteer. */
const BATCH_SIZE = 64

export const PANDO = {
  name: 'Pando',
  get: GET,
  version: async () => `pull-lend-stream ${packageVersion(`${FOLDER}node_modules/pull-lend-stream`)}`
}

export interface Pando extends AsyncDisposable {
  /** the page of a volunteer */
  url: string
  /** Gives numbers to whoever came; what its function makes of each, as text, in order. */
  map(items: number[]): Promise<string[]>
}

/** `fn`: source of the function that volunteers run. */
export async function startPando(fn: string): Promise<Pando> {
  const [
    { default: pull },
    { default: lendStream },
    { default: limit },
    { default: duplex },
    { WebSocketServer }
  ] = await Promise.all(
    ['pull-stream', 'pull-lend-stream', 'pull-limit', 'pull-ws', 'ws'].map(name => load(name))
  )
  const page = `<!doctype html><script>
const fn = ${fn}
const socket = new WebSocket(location.href.replace('http', 'ws'))
socket.onmessage = ({ data }) => setTimeout(() => socket.send(String(fn(Number(data)))), 0)
</script>`
  const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(page))
  const sockets = new WebSocketServer({ server })
  let end: () => void = () => undefined
  const items: number[] = []
  let waiting: Callback | undefined
  const source: Source = (abort, take) => {
    if (abort) return take(abort)
    if (items.length > 0) return take(null, `${items.shift()}`)
    waiting = take
    end = () => take(true)
  }
  const results: string[] = []
  let arrived: () => void = () => undefined
  const lender = lendStream()
  pull(
    source,
    lender,
    pull.drain((result: Buffer | string) => {
      results.push(`${result}`)
      arrived()
    })
  )
  sockets.on('connection', (socket: object) =>
    lender.lendStream((ended: unknown, stream: unknown) => {
      if (!ended) pull(stream, limit(duplex(socket), BATCH_SIZE), stream)
    })
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    map(numbers) {
      const all = Promise.withResolvers<string[]>()
      arrived = () => {
        if (results.length === numbers.length) all.resolve(results.splice(0))
      }
      items.push(...numbers)
      const take = waiting
      waiting = undefined
      take?.(null, `${items.shift()}`)
      return all.promise
    },
    async [Symbol.asyncDispose]() {
      end()
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}
