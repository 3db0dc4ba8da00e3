import { setTimeout as delay } from 'node:timers/promises'
import { type Failure, isPassing } from '../core/retry.ts'
import { StreamError } from '../errors.ts'

type Json = Record<string, unknown>

/** Looks in a row that may fail: the images are drawn meanwhile, and who asks for them anew pays twice. */
const FAILED_LOOKS = 5
const WORKS: ReadonlySet<unknown> = new Set(['IN_QUEUE', 'IN_PROGRESS'])
const CANCEL_MS = 10_000
/** What OpenAI's clients say and fal's models do not know, or in other words; how many there are is what is paid for. */
const OTHERWISE = new Set(['model', 'n', 'num_images', 'size', 'response_format', 'user', 'quality'])

/** One request with the key of the provider; throws ProviderError for what is refused. */
export type AskFal = (method: string, url: URL, body: Json | undefined, signal: AbortSignal) => Promise<Json>

/**
 * Images by fal's queue: asks, looks until they are drawn, fetches them. Who leaves takes the question out of the queue.
 *
 * @param url what stands before the name of a model: https://queue.fal.run
 * @throws {ProviderError} {StreamError}
 */
export async function drawByFal(
  ask: AskFal,
  {
    url,
    model,
    body,
    name,
    lookMs
  }: { url: string; model: string; body: Json; name: string; lookMs: number },
  signal: AbortSignal
): Promise<Json> {
  const base = new URL(`${url.replace(/\/+$/, '')}/${model}`)
  const queued = await ask('POST', base, falBodyOf(body), signal)
  /** The key goes nowhere else, whatever an answer names. */
  const placeOf = (field: string): URL => {
    const place = URL.parse(String(queued[field]))
    if (place?.origin !== base.origin) throw new StreamError(`${name} answered with no ${field} of its own`)
    return place
  }
  const [status, response] = [placeOf('status_url'), placeOf('response_url')]
  async function look(place: URL): Promise<Json> {
    for (let failed = 1; ; failed++) {
      try {
        return await ask('GET', place, undefined, signal)
      } catch (error) {
        if (signal.aborted || failed === FAILED_LOOKS || !mayPass(error)) throw error
      }
      await delay(lookMs, undefined, { signal })
    }
  }
  try {
    for (;;) {
      const { status: now } = await look(status)
      if (now === 'COMPLETED') break
      if (!WORKS.has(now)) throw new StreamError(`${name} does not say how the images are`)
      await delay(lookMs, undefined, { signal })
    }
    return {
      created: Math.floor(Date.now() / 1000),
      data: imagesOf(await look(response))
    }
  } catch (error) {
    // its answer is for nobody
    if (signal.aborted && queued.cancel_url != null)
      void ask('PUT', placeOf('cancel_url'), undefined, AbortSignal.timeout(CANCEL_MS)).catch(() => {})
    throw error
  }
}

function mayPass(error: unknown): boolean {
  const { failure } = error as { failure?: Failure }
  return !(error instanceof StreamError) && (failure == null || isPassing(failure))
}

/** In fal's words; what only fal's models know goes as it is. Pure. */
export function falBodyOf(body: Json): Json {
  const rest = Object.fromEntries(Object.entries(body).filter(([field]) => !OTHERWISE.has(field)))
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(String(body.size)) ?? []
  return {
    ...rest,
    ...(Number.isSafeInteger(body.n) && { num_images: body.n }),
    ...(width == null ? {} : { image_size: { width: Number(width), height: Number(height) } }),
    // the images themselves, and not where they are
    sync_mode: body.response_format !== 'url'
  }
}

/** @throws {StreamError} */
function imagesOf({ images }: Json): Json[] {
  if (!Array.isArray(images)) throw new StreamError('the provider answered with no list of images')
  return images.map(each => {
    const url = String(each?.url)
    const [, b64_json] = /^data:image\/[a-z+]{1,20};base64,(.+)$/s.exec(url) ?? []
    return b64_json == null ? { url } : { b64_json }
  })
}
