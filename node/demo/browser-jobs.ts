import { createSandbox, decodeValue, encodeValue } from '../../sandbox/index.ts'

/** What tabs are asked, and what it gives when it is calculated without them. */
export interface TabJob {
  name: string
  spec: Record<string, unknown>
  directly(): unknown | Promise<unknown>
  show(result: never): string
}

const COUNTED = 50_000
const WAVES = 20_000
const ROWS = 200
const WALL_LIMITS = { timeoutMs: 60_000, memoryMb: 256, outputBytes: 1 << 20 }

/** 1 for a prime, and work that no engine takes away. */
function isPrime(n: number): number {
  let mixed = n
  for (let i = 0; i < 8_000; i++) mixed = (mixed * 48_271) % 2_147_483_647
  if (n < 2 || mixed < 0) return 0
  for (let factor = 2; factor * factor <= n; factor++) if (n % factor === 0) return 0
  return 1
}

/** One row of the Mandelbrot set: how deep each pixel is. */
function rowOf(y: number): number[] {
  const [width, height, depth] = [300, 200, 400]
  const depths: number[] = []
  for (let x = 0; x < width; x++) {
    const cr = (x / width) * 3.6 - 2.5
    const ci = (y / height - 0.5) * 2.4
    let [r, i, n] = [0, 0, 0]
    while (n < depth && r * r + i * i < 4) {
      const next = r * r - i * i + cr
      i = 2 * r * i + ci
      r = next
      n++
    }
    depths.push(n)
  }
  return depths
}

const wave = (x: number): number => Math.sin(x) * Math.exp(x / 3000) + x ** 0.3

const upTo = (end: number): number[] => Array.from({ length: end }, (_, i) => i + 1)

export const TAB_JOBS: readonly TabJob[] = [
  {
    name: `primes up to ${COUNTED.toLocaleString('en')}`,
    spec: { type: 'range_reduce', start: 1, end: COUNTED, map: isPrime, operation: 'sum' },
    directly: () => upTo(COUNTED).reduce((sum, n) => sum + isPrime(n), 0),
    show: (count: number) => count.toLocaleString('en')
  },
  {
    name: `Mandelbrot, ${ROWS} rows`,
    spec: { type: 'map', range: { start: 0, end: ROWS - 1 }, fn: rowOf },
    directly: () => upTo(ROWS).map(y => rowOf(y - 1)),
    show: (rows: number[][]) => `${rows.flat().filter(depth => depth === 400).length} pixels inside`
  },
  {
    name: `${WAVES.toLocaleString('en')} × sin, exp, **`,
    spec: { type: 'map', range: { start: 1, end: WAVES }, fn: wave },
    // as a native worker does: sin and exp of browsers differ, so sandboxes bring their own
    directly: () => behindWalls(`${wave}`, upTo(WAVES)),
    show: (values: number[]) => `last ${values.at(-1)}`
  }
]

async function behindWalls(source: string, items: number[]): Promise<unknown[]> {
  const sandbox = createSandbox()
  await sandbox.start()
  try {
    const owner = { requester: 'demo', trusted: true, limits: WALL_LIMITS }
    const session = await sandbox.open({ kind: 'function', source }, owner)
    const outcomes = await session.run(items.map(item => encodeValue(item)))
    return outcomes.map(outcome => (outcome.ok ? decodeValue(outcome.value) : outcome.failure))
  } finally {
    await sandbox.stop()
  }
}

/** Ways out of a tab, each a function of the canary's address; what a program then holds is told, or `nothing`. */
const WAYS_OUT: Record<string, string> = {
  fetch: 'globalThis.fetch(url).then(() => "an answer")',
  XMLHttpRequest:
    '{ const r = new globalThis.XMLHttpRequest(); r.open("GET", url, false); r.send(); return r.responseText }',
  WebSocket: 'new globalThis.WebSocket(url.replace("http", "ws")).url',
  EventSource: 'new globalThis.EventSource(url).url',
  WebTransport: 'new globalThis.WebTransport(url.replace("http:", "https:"))',
  WebRTC: 'new globalThis.RTCPeerConnection().createDataChannel("out").label',
  beacon: 'globalThis.navigator.sendBeacon(url)',
  'another Worker': 'new globalThis.Worker(url)',
  importScripts: 'globalThis.importScripts(url)',
  'code from a string': '(() => {}).constructor("return self")().fetch(url)',
  'code by eval': '(0, globalThis.eval)("self").fetch(url)',
  'async code from a string': '(async () => {}).constructor("url", "return fetch(url)")(url)',
  localStorage: 'globalThis.localStorage.length',
  sessionStorage: 'globalThis.sessionStorage.length',
  IndexedDB: 'globalThis.indexedDB.open("artel").readyState',
  caches: 'globalThis.caches.keys().then(keys => keys.length)',
  cookies: 'globalThis.cookieStore.getAll().then(all => all.length)',
  'files of the origin': 'globalThis.navigator.storage.getDirectory().then(() => "a folder")',
  'the page': 'globalThis.parent.document.title = "taken"',
  'the page by its opener': 'globalThis.opener.document.title = "taken"',
  'the port of the node': 'globalThis.postMessage({ gone: 1 })',
  'other tabs': 'new globalThis.BroadcastChannel("artel").postMessage("here")',
  'what was deleted, by its prototype': 'Object.getPrototypeOf(Object.getPrototypeOf(globalThis)).fetch(url)',
  'the realm of an error':
    '{ try { null.x } catch (e) { return e.constructor.constructor("return self")().fetch(url) } }'
}

export const HOSTILE_COUNT = Object.keys(WAYS_OUT).length

/** A job that tries them all, once in each slice. */
export function hostileSpec(url: string): Record<string, unknown> {
  const ways = Object.entries(WAYS_OUT).map(([name, code]) => {
    const body = code.startsWith('{') ? code : `{ return ${code} }`
    return `${JSON.stringify(name)}: url => ${body}`
  })
  return {
    type: 'map',
    items: Object.keys(WAYS_OUT),
    fn: `async name => {
      const ways = { ${ways.join(',\n')} }
      try {
        const held = await ways[name](${JSON.stringify(url)})
        return held === undefined ? 'nothing' : typeof held + ' ' + held
      } catch {
        return 'nothing'
      }
    }`
  }
}
