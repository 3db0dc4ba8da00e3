import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectSocket, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Tab } from '../contract.ts'
import { BrowserError, FetchTooLongError } from '../errors.ts'
import { addressesOf, hostOf, type Resolve, readTarget } from '../target.ts'
import { createCdp } from './cdp.ts'
import { openGate } from './gate.ts'
import { openTab } from './tab.ts'
import { MAX_MEMORY_BYTES, TOO_LARGE, walledBrowser } from './walls.ts'

/** What Chromium says of a page, its text among it. */
const MAX_SAID_BYTES = 200_000_000
const SAID_CHARS = 2_000
const CONNECT_MS = 15_000

export interface BrowserInit {
  /** its program */
  chromium: string
  /** `name:port` of hosts inside that may be reached, asked at every connection */
  allowed(): readonly string[]
  resolve: Resolve
  /** of all that it loads, and characters of the document */
  maxBytes: number
  signal: AbortSignal
}

/**
 * Starts Chromium behind walls, does something in it, and ends it: no page meets what another one has left behind.
 *
 * @throws {BrowserError} it is missing, does not start, or ends
 * @throws {FetchTooLongError} the page takes more memory or bytes than it may
 * @throws the reason of the signal
 */
export async function withBrowser<T>(
  { chromium, allowed, resolve, maxBytes, signal }: BrowserInit,
  work: (tab: Tab) => Promise<T>
): Promise<T> {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-browser-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const socket = join(folder, 'gate')
  const gate = opened.use(await openGate(socket, { connect, maxBytes }))

  async function connect(host: string, port: number): Promise<Socket> {
    const url = readTarget(`${port === 443 ? 'https' : 'http'}://${host}:${port}`, allowed())
    const isOpen = allowed().includes(hostOf(url))
    const addresses = await addressesOf(url.hostname, { resolve, isOpen, signal })
    return connectToOne(addresses, port)
  }

  // from here on nothing waits until somebody hears how the browser ends
  signal.throwIfAborted()
  const [program, args] = walledBrowser(chromium, socket)
  const child = spawn(program, args, { env: {}, stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_CHARS)
  })
  const ended = Promise.withResolvers<never>()
  const gone = new Promise<void>(resolve => {
    child.on('error', error => {
      ended.reject(new BrowserError(`${program}: ${error.message}`))
      resolve()
    })
    child.on('close', code => {
      ended.reject(gate.failure ?? endOf(code, said))
      resolve()
    })
  })
  opened.defer(() => {
    child.kill('SIGKILL')
    return gone
  })
  const onAbort = (): void => ended.reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  opened.defer(() => signal.removeEventListener('abort', onAbort))
  const pipes = { to: child.stdio[3] as Writable, from: child.stdio[4] as Readable }
  const cdp = createCdp(pipes, { maxBytes: MAX_SAID_BYTES, onWild: ended.reject })
  ended.promise.catch(cdp.fail)
  const done = (async () => {
    const tab = await openTab(cdp, { maxChars: maxBytes, signal })
    return work({
      ...tab,
      async open(text) {
        const url = readTarget(text, allowed())
        try {
          return await tab.open(url.href)
        } catch (error) {
          throw (error as Error).message.includes('ERR_SOCKS') ? (gate.refusal ?? error) : error
        }
      }
    })
  })()
  // where the browser ends first, why it did is what is told
  done.catch(() => {})
  try {
    const result = await Promise.race([done, ended.promise])
    if (gate.failure != null) throw gate.failure
    return result
  } catch (error) {
    throw gate.failure ?? error
  }
}

/** The first that answers. */
async function connectToOne([address, ...others]: readonly string[], port: number): Promise<Socket> {
  const socket = connectSocket({ host: address!, port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) })
    return socket
  } catch (error) {
    socket.destroy()
    if (others.length === 0) throw error
    return connectToOne(others, port)
  }
}

const endOf = (code: number | null, said: string): Error =>
  code === TOO_LARGE
    ? new FetchTooLongError(`a page takes more than ${MAX_MEMORY_BYTES} bytes of memory`)
    : new BrowserError(`Chromium has ended (${code}): ${said.trim().slice(-500)}`)
