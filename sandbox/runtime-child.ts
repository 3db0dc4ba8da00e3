import type { Child, Start } from './child.ts'
import { FRAME, type RuntimeFiles } from './child-main.ts'
import { frame } from './frames.ts'
import { isolateScript } from './isolate-script.ts'
import { createPool, type Pool } from './pool.ts'
import { childPayload, type Payload } from './walls.ts'

const START_MS = 120_000 // three seconds of a processor for Python without a snapshot, on machines with other work
const SNAPSHOT_BYTES = 64 << 20
const IDLE_MS = 600_000 // so long after the last program a child is kept ready, which takes 100 to 300 MB

/** What the children of a runtime are made of. */
export interface RuntimeSource {
  runtime: RuntimeFiles
  /** source text of `(makeCodec, realm) => Runtime` */
  make: string
  /** the memory of a first child is where the others begin */
  hasSnapshot: boolean
}

/** Children of a runtime: none before `want` was called, then one ready. */
export function createRuntimePool(init: {
  source: () => RuntimeSource
  flags: string[]
  launch: (payload: Payload, start: Start) => Promise<Child>
  /** how many of so many may be kept now */
  room: (kept: number) => number
}): Pool & { want(): void } {
  let launch: (() => Promise<Child>) | undefined
  let until: NodeJS.Timeout | undefined
  const pool = createPool({
    launch: async () => {
      launch ??= createLauncher(init.source(), init.flags, init.launch)
      return launch()
    },
    most: () => (until === undefined ? 0 : init.room(1))
  })

  function forget(): Promise<void> {
    clearTimeout(until)
    until = undefined
    return pool.drain()
  }

  return {
    ...pool,
    want() {
      clearTimeout(until)
      until = setTimeout(() => void forget(), IDLE_MS).unref()
    },
    drain: forget
  }
}

function createLauncher(
  { runtime, make, hasSnapshot }: RuntimeSource,
  flags: string[],
  launch: (payload: Payload, start: Start) => Promise<Child>
): () => Promise<Child> {
  const prelude = Buffer.from(isolateScript('', make))
  const size = Buffer.alloc(4)
  size.writeUInt32LE(prelude.length)
  const payload = childPayload(flags, runtime)
  let snapshot: Promise<Buffer> | undefined

  const begin = (onReady: (body: Buffer) => void, ...from: Buffer[]) =>
    launch(payload, {
      parts: frame(FRAME.start, size, prelude, ...from),
      ms: START_MS,
      maxBytes: SNAPSHOT_BYTES,
      onReady
    })

  async function takeSnapshot(): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const first = begin(resolve)
    first.then(child => child.kill(), reject)
    return promise
  }

  return async () => {
    if (!hasSnapshot) return begin(() => {})
    snapshot ??= takeSnapshot()
    let from: Buffer
    try {
      from = await snapshot
    } catch (error) {
      snapshot = undefined // perhaps the machine was too busy
      throw error
    }
    return begin(() => {}, from)
  }
}
