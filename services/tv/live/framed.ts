import type { Unit } from './split.ts'

const HEAD_BYTES = 5

/**
 * What somebody watches, as bytes: length, whether it is a key picture, picture.
 *
 * @param starting waits for the first picture, so that what keeps it away is told in place of a stream
 * @throws {Error} what `watch` throws before it
 */
export async function framed(
  watch: (signal: AbortSignal) => AsyncIterable<Unit>,
  starting: AbortSignal,
  stopping: AbortSignal
): Promise<AsyncIterable<Uint8Array>> {
  const gone = new AbortController()
  const onAbort = (): void => gone.abort(starting.reason)
  starting.addEventListener('abort', onAbort, { once: true })
  const units = watch(AbortSignal.any([gone.signal, stopping]))[Symbol.asyncIterator]()
  let first: IteratorResult<Unit> | undefined = await units.next()
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const { done, value } = first ?? (await units.next())
        first = undefined
        if (done === true) return { done, value: undefined }
        const head = Buffer.alloc(HEAD_BYTES)
        head.writeUInt32BE(value.bytes.length, 0)
        head[4] = Number(value.isKey)
        return { done: false, value: Buffer.concat([head, value.bytes]) }
      },
      // whoever goes while nothing comes is not waited for
      async return() {
        gone.abort()
        await units.return?.()
        return { done: true, value: undefined }
      }
    })
  }
}
