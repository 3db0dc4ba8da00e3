import { lookup } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import { Agent, buildConnector, request } from 'undici'
import { checkWayOut } from '../../bootstrap/way-out.ts'
import { ACCEPT_ENCODING, readBody } from './body.ts'
import type { BrowseOptions, Fetched, FetchOptions, Outbound, Tab } from './contract.ts'
import {
  BrowserError,
  FetchError,
  FetchOverdueError,
  ForbiddenAddressError,
  UnwelcomeError
} from './errors.ts'
import { ROBOT, type Robots, readRobots } from './robots.ts'
import { addressesOf, hostOf, type Resolve, readTarget } from './target.ts'
import { createTurns } from './turns.ts'
import { conditionOf, validatorsOf } from './validators.ts'

export interface OutboundInit {
  /** `name:port` that may be reached although it is inside, or on another port; asked at every request */
  openHosts?: () => readonly string[]
  /** ms between two requests to one host */
  gapMs?: () => number
  /** default: that of the system */
  resolve?: Resolve
  /** program of Chromium; empty, and by default: no page is opened in one */
  chromium?: () => string
}

const DEADLINE_MS = 60_000
const MAX_BYTES = 20_000_000
const ROBOTS_BYTES = 500_000
/** Of what all hosts say together, in characters, each of which takes up to 25 bytes; at least so many for each. */
const KEPT_ROBOTS = 1_000_000
const LEAST_ROBOTS = 1_000
const HEADER_BYTES = 64 * 1024
const REDIRECTS = 5
const CONNECT_MS = 15_000
/** Headers that belong to the site they were meant for. */
const SECRET = new Set(['authorization', 'cookie', 'proxy-authorization'])

/** HTTP to the internet and to nothing else; see README.md. */
export function createOutbound({
  openHosts = () => [],
  gapMs = () => 30_000,
  resolve = systemResolve,
  chromium = () => ''
}: OutboundInit = {}): Outbound {
  const turns = createTurns()
  const browsers = createTurns()
  const robotsOf = new Map<string, Robots>()
  const connect = buildConnector({ timeout: CONNECT_MS })
  const agent = new Agent({
    maxHeaderSize: HEADER_BYTES,
    // also of literals, which undici would connect to without asking anybody
    connect(options, callback) {
      const { hostname, protocol, port } = options
      const host = isIPv6(hostname) ? `[${hostname}]` : hostname
      const isOpen = openHosts().includes(hostOf(new URL(`${protocol}//${host}:${port}`)))
      // a certificate is for the name, wherever it leads
      const servername = options.servername || (isIP(hostname) === 0 ? hostname : undefined)
      const attempt = ([address, ...others]: string[]): void =>
        connect({ ...options, hostname: address!, servername }, (...outcome) => {
          if (outcome[0] != null && others.length > 0) attempt(others)
          else callback(...outcome)
        })
      addressesOf(hostname, { resolve, isOpen, signal: AbortSignal.timeout(CONNECT_MS) }).then(
        addresses => attempt(addresses),
        error => callback(error as Error, null)
      )
    }
  })

  interface Hop {
    url: URL
    options: FetchOptions
    deadline: AbortSignal
  }

  async function ask({ url, options, deadline }: Hop, maxBytes: number): Promise<Fetched> {
    const cookie = await options.cookies?.header(url.href)
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      method: options.method ?? 'GET',
      body: options.body,
      headers: {
        'user-agent': `Mozilla/5.0 (compatible; ${ROBOT})`,
        accept: '*/*',
        ...options.headers,
        ...conditionOf(url.href, options.known),
        'accept-encoding': ACCEPT_ENCODING,
        ...(cookie == null || cookie === '' ? {} : { cookie })
      },
      signal: deadline
    })
    const setCookie = headers['set-cookie']
    if (setCookie != null) await options.cookies?.keep([setCookie].flat(), url.href)
    const bytes = await readBody(body, {
      // what is still right comes without a body, whatever its coding would be
      coding: statusCode === 304 ? '' : [headers['content-encoding'] ?? ''].flat().join(','),
      maxBytes,
      url: url.href
    })
    const single: Fetched['headers'] = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, [value ?? ''].flat().at(-1)!])
    )
    const validators = validatorsOf(url.href, single)
    return { url: url.href, status: statusCode, headers: single, bytes, ...(validators && { validators }) }
  }

  async function robots(url: URL, options: FetchOptions, deadline: AbortSignal): Promise<Robots> {
    const kept = robotsOf.get(url.origin)
    if (kept != null && kept.until > Date.now()) return kept
    const place = new URL('/robots.txt', url)
    const { signal, onlyHosts } = options
    const { status, bytes } = await follow(
      place,
      { signal, onlyHosts, isRobot: false },
      deadline,
      ROBOTS_BYTES
    )
    const read = readRobots(place.href, status, new TextDecoder().decode(bytes), Date.now())
    robotsOf.delete(url.origin)
    robotsOf.set(url.origin, read)
    // the oldest go first: a page may lead to a new host each time
    let room = KEPT_ROBOTS
    for (const [origin, { size, until }] of [...robotsOf].reverse()) {
      room -= LEAST_ROBOTS + size
      if (until < Date.now() || room < 0) robotsOf.delete(origin)
    }
    return read
  }

  /** @throws {UnwelcomeError} */
  async function mayRead(url: URL, options: FetchOptions, deadline: AbortSignal): Promise<void> {
    if (!(await robots(url, options, deadline)).isAllowed(url.href))
      throw new UnwelcomeError(`${url.origin} asks robots not to read ${url.pathname} (robots.txt)`)
  }

  /** With its redirects, each of which is looked at as the first was. */
  async function follow(
    start: URL,
    options: FetchOptions,
    deadline: AbortSignal,
    maxBytes: number
  ): Promise<Fetched> {
    let hop: Hop = { url: start, options, deadline }
    for (let hops = 0; ; hops++) {
      if (options.onlyHosts?.includes(hostOf(hop.url)) === false)
        throw new ForbiddenAddressError(
          `${start.origin} leads to ${hop.url.origin}, another host than was named`
        )
      if (options.isRobot !== false) await mayRead(hop.url, options, deadline)
      const fetched = await ask(hop, maxBytes)
      const { location } = fetched.headers
      if (location == null || ![301, 302, 303, 307, 308].includes(fetched.status)) return fetched
      if (hops === REDIRECTS) throw new FetchError(`${start.href} leads on more than ${REDIRECTS} times`)
      hop = redirected(hop, fetched.status, location)
    }
  }

  function redirected({ url, options, deadline }: Hop, status: number, location: string): Hop {
    const next = readTarget(URL.parse(location, url)?.href ?? location, openHosts())
    if (url.protocol === 'https:' && next.protocol === 'http:')
      throw new ForbiddenAddressError(`${url.origin} leads to ${next.origin}, which is not encrypted`)
    const keepsBody = status === 307 || status === 308
    const headers = Object.fromEntries(
      Object.entries(options.headers ?? {}).filter(
        ([name]) =>
          (next.origin === url.origin || !SECRET.has(name.toLowerCase())) &&
          (keepsBody || !name.toLowerCase().startsWith('content-'))
      )
    )
    // what was meant for one site is not handed to another
    if (keepsBody && next.origin !== url.origin && options.body != null)
      throw new FetchError(`${url.origin} leads what is sent to it on to ${next.origin}`)
    const rest = keepsBody ? {} : { method: 'GET' as const, body: undefined }
    return { url: next, options: { ...options, ...rest, headers }, deadline }
  }

  async function fetch(text: string, options: FetchOptions): Promise<Fetched> {
    const url = readTarget(text, openHosts())
    const { isRobot = true, maxBytes = MAX_BYTES, signal } = options
    const work = (): Promise<Fetched> =>
      within(url, options, deadline => follow(url, options, deadline, maxBytes))
    if (!isRobot) return work()
    return inTurn(url, signal, async answered => {
      const fetched = await work()
      answered(fetched.status, fetched.headers['retry-after'])
      return fetched
    })
  }

  async function browse<T>(text: string, options: BrowseOptions, work: (tab: Tab) => Promise<T>): Promise<T> {
    const url = readTarget(text, openHosts())
    const program = chromium()
    if (program === '') throw new BrowserError('no browser is allowed; the owner of this node can name one')
    const { signal, hosts = [hostOf(url)] } = options
    const { withBrowser } = await import('./browser/with-browser.ts')
    const allowed = (): string[] => openHosts().filter(host => hosts.includes(host))
    return inTurn(url, signal, answered =>
      browsers.take('', { gapMs: 0, signal }, () =>
        within(url, options, async deadline => {
          await mayRead(url, { signal }, deadline)
          const init = { chromium: program, allowed, resolve, maxBytes: MAX_BYTES, signal: deadline }
          return withBrowser(init, tab =>
            work({
              ...tab,
              async open(page) {
                const status = await tab.open(page)
                answered(status)
                return status
              }
            })
          )
        })
      )
    )
  }

  /** Until the deadline. @throws what outbound throws */
  async function within<T>(
    url: URL,
    { signal, deadlineMs = DEADLINE_MS }: Pick<FetchOptions, 'signal' | 'deadlineMs'>,
    work: (deadline: AbortSignal) => Promise<T>
  ): Promise<T> {
    const overdue = AbortSignal.timeout(deadlineMs)
    try {
      checkWayOut()
      return await work(AbortSignal.any([signal, overdue]))
    } catch (error) {
      signal.throwIfAborted()
      if (overdue.aborted) throw new FetchOverdueError(`${url.href} took more than ${deadlineMs} ms`)
      throw told(error as Error, url)
    }
  }

  /** When it is the host's turn. */
  function inTurn<T>(
    url: URL,
    signal: AbortSignal,
    work: (answered: (status: number, retryAfter?: string) => void) => Promise<T>
  ): Promise<T> {
    const pause = Math.max(gapMs(), robotsOf.get(url.origin)?.delayMs ?? 0)
    return turns.take(url.host, { gapMs: pause, signal }, async answered => {
      try {
        return await work(answered)
      } catch (error) {
        answered(0)
        throw error
      }
    })
  }

  return { fetch, browse, close: () => agent.destroy() }
}

const OWN = new Set([
  'BrowserError',
  'ForbiddenAddressError',
  'FetchError',
  'FetchOverdueError',
  'FetchTooLongError',
  'UnwelcomeError'
])

const told = (error: Error, url: URL): Error =>
  OWN.has(error.name) ? error : new FetchError(`${url.href}: ${error.message}`, { cause: error })

async function systemResolve(hostname: string, signal: AbortSignal): Promise<string[]> {
  const found = await lookup(hostname, { all: true })
  signal.throwIfAborted()
  return found.map(({ address }) => address)
}
