import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { AssistantError, StreamError } from '../errors.ts'
import type { Json } from '../provider/send.ts'
import { kindOf } from './kind-of.ts'
import { type Shrunk, shrinkChild, type ToShrink } from './shrink-child.ts'

/** Of an image as it is in memory: a small file can promise any number. */
const MAX_PIXELS = 40_000_000
const SHRINK_MS = 30_000
/** A process that has grown above this makes place for a new one. */
const MAX_RSS_BYTES = 150 * 1024 * 1024
const IDLE_MS = 30_000

/** Of 19 MB that few need: a checkout has it, a published package leaves it to its owner. */
function isThere(): boolean {
  try {
    return createRequire(import.meta.url).resolve('sharp') !== ''
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    return false
  }
}

export type Shrink = ReturnType<typeof createShrink>

/**
 * Makes images smaller, one at a time, in a process that knows nothing: decoders are fed by strangers. It is there while
 * there are images.
 */
export function createShrink() {
  let child: ChildProcess | undefined
  let last: Promise<unknown> = Promise.resolve()
  let idle: NodeJS.Timeout | undefined

  function start(): ChildProcess {
    const require = `process.getBuiltinModule('module').createRequire(${JSON.stringify(import.meta.url)})`
    const started = spawn(process.execPath, ['-e', `(${shrinkChild})(${require}('sharp'))`], {
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced'
    })
    // what is asked of it fails, which says it
    started.on('error', () => {})
    started.on('exit', () => {
      if (child === started) child = undefined
    })
    return started
  }

  function end(): void {
    clearTimeout(idle)
    child?.kill('SIGKILL')
    child = undefined
  }

  /** @throws {StreamError} */
  async function inChild(image: ToShrink): Promise<Uint8Array> {
    clearTimeout(idle)
    child ??= start()
    const worker = child
    const waiting = new AbortController()
    const { signal } = waiting
    try {
      const answer = once(worker, 'message', { signal }).then(([told]) => told as Shrunk)
      const gone = once(worker, 'exit', { signal }).then(() => ({ error: 'its process has ended' }))
      const late = delay(SHRINK_MS, { error: `it took more than ${SHRINK_MS} ms` }, { signal })
      // all but the first are ended below, and all of them where nothing can be sent
      for (const each of [answer, gone, late]) each.catch(() => {})
      worker.send(image)
      const told = await Promise.race([answer, gone, late])
      if ('error' in told) throw new StreamError(`an image of the provider cannot be read: ${told.error}`)
      if (told.rss > MAX_RSS_BYTES) end()
      return told.bytes
    } catch (error) {
      end()
      throw error
    } finally {
      waiting.abort()
      idle = setTimeout(end, IDLE_MS).unref()
    }
  }

  /**
   * @throws {StreamError}
   * @throws {AssistantError} the library is missing
   */
  async function shrink(text: string, side: number): Promise<string> {
    const bytes = Buffer.from(text, 'base64')
    if (!isThere())
      throw new AssistantError(
        503,
        'api_error',
        'no_sharp',
        'images are to be made smaller here, and the library for it is missing: npm install sharp, or set assistant.imageSide to 0'
      )
    if (kindOf(bytes) == null) throw new StreamError('the provider answered with no PNG, JPEG or WebP')
    const made = last.then(() => inChild({ bytes, side, maxPixels: MAX_PIXELS }))
    // the next one has its turn however this one ends
    last = made.catch(() => {})
    const smaller = await made
    return smaller.length < bytes.length ? Buffer.from(smaller).toString('base64') : text
  }

  return {
    /**
     * The images of an answer as WebP, of at most so many pixels on each side; addresses of images stay as they are.
     *
     * @throws {StreamError} one is no image, or a hostile one
     */
    async images(answer: Json, side: number): Promise<Json> {
      const data = await Promise.all(
        (answer.data as Json[]).map(async each =>
          typeof each?.b64_json === 'string' ? { ...each, b64_json: await shrink(each.b64_json, side) } : each
        )
      )
      return { ...answer, data }
    },
    close: end
  }
}
