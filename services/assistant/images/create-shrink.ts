import { createNativeProgram, type NativeChild, WallMissingError } from '../../../sandbox/index.ts'
import { AssistantError, StreamError } from '../errors.ts'
import type { Json } from '../provider/send.ts'
import { kindOf } from './kind-of.ts'
import { findSharp } from './sharp-files.ts'
import { shrinkWork, toShrink } from './shrink-child.ts'

const SHRINK_MS = 30_000
/** beside what the process has at its start; the kernel holds it. 40 million pixels that no line by line can be read */
const MEMORY_MB = 512
const MAX_BYTES = 32 * 1024 * 1024

export type Shrink = ReturnType<typeof createShrink>
type Program = ReturnType<typeof createNativeProgram>

/**
 * Makes images smaller behind the walls that stand around strangers' code, for decoders are fed by strangers: each answer
 * has a process of its own, one at a time, so that no image meets that of somebody else.
 *
 * @param toolPath folders of what builds the walls; default: PATH
 */
export function createShrink(toolPath?: string) {
  const ending = new AbortController()
  let program: Program | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** @throws {AssistantError} the library or a wall is missing */
  async function start(): Promise<Program> {
    if (program == null) {
      const sharp = findSharp()
      if (sharp == null) throw cannot('no_sharp', 'the library for it is missing: npm install sharp')
      const { entry, ...files } = sharp
      const limits = { memoryMb: MEMORY_MB, outputBytes: MAX_BYTES }
      program = createNativeProgram({ work: shrinkWork(entry), ...files, ...limits, toolPath })
    }
    try {
      await program.check()
    } catch (error) {
      const { name, message } = error as Error
      if (name === WallMissingError.name) throw cannot('no_walls', `a wall is missing: ${message}`)
      throw error
    }
    return program
  }

  /** @throws {StreamError} {AssistantError} */
  async function inChild(images: readonly Buffer[], side: number): Promise<Buffer[]> {
    let child: NativeChild | undefined
    try {
      child = await (await start()).open()
      const made: Buffer[] = []
      for (const image of images) {
        const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(SHRINK_MS)])
        made.push(await child.run(toShrink(image, side), { signal }))
      }
      return made
    } catch (error) {
      if (error instanceof AssistantError) throw error
      const { name, message } = error as Error
      const why = name === 'TimeoutError' ? `it took more than ${SHRINK_MS} ms` : message
      throw new StreamError(`an image of the provider cannot be read: ${why}`)
    } finally {
      child?.kill()
    }
  }

  return {
    /**
     * Before a provider is asked, and paid.
     *
     * @throws {AssistantError} the library or a wall is missing
     */
    async check(): Promise<void> {
      await start()
    },
    /**
     * The images of an answer as WebP, of at most so many pixels on each side; addresses of images stay as they are.
     *
     * @throws {StreamError} one is no image, or a hostile one
     * @throws {AssistantError} the library or a wall is missing
     */
    async images(answer: Json, side: number): Promise<Json> {
      const data = answer.data as Json[]
      const drawn = data.filter(each => typeof each?.b64_json === 'string')
      if (drawn.length === 0) return answer
      const images = drawn.map(({ b64_json }) => Buffer.from(b64_json as string, 'base64'))
      if (images.some(image => kindOf(image) == null))
        throw new StreamError('the provider answered with no PNG, JPEG or WebP')
      const made = last.then(() => inChild(images, side))
      // the next one has its turn however this one ends
      last = made.catch(() => {})
      const smaller = new Map(
        (await made).map((bytes, i) => [
          drawn[i],
          bytes.length < images[i]!.length ? { ...drawn[i], b64_json: bytes.toString('base64') } : drawn[i]!
        ])
      )
      return { ...answer, data: data.map(each => smaller.get(each) ?? each) }
    },
    close: () => ending.abort(new Error('the node ends'))
  }
}

const cannot = (code: string, why: string): AssistantError =>
  new AssistantError(
    503,
    'api_error',
    code,
    `images are to be made smaller here, and ${why}; or set assistant.imageSide to 0`
  )
