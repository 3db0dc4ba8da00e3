import { badRequest } from '../errors.ts'

type Body = Readonly<Record<string, unknown>>

/** So large is an image that costs `perImage`; a larger one costs it for each begun piece of so many pixels. */
const PIXELS = 1024 * 1024
/** more than any provider takes */
const MAX_IMAGES = 128
/** What changes an image and not its price. */
const FREE = new Set([
  'model',
  'prompt',
  'negative_prompt',
  'seed',
  'guidance_scale',
  'response_format',
  'output_format',
  'output_compression',
  'background',
  'moderation',
  'style',
  'enable_safety_checker',
  'user'
])
/** What costs nothing more with these values: providers take them where nobody says anything. */
const USUAL: ReadonlyMap<string, readonly unknown[]> = new Map([
  ['quality', ['auto', 'standard']],
  ['stream', [false]]
])
/** fal's names of sizes, none of which is larger than 1024 × 1024 */
const NAMED_SIZE = /^(square|square_hd|(portrait|landscape)_(4_3|16_9))$/

/**
 * Times that an image's price is due for a question, by how many there are and how large each of them is. Pure.
 *
 * @param fields what the owner lets pass besides, at this price
 * @throws {AssistantError} a field may cost more, for all that is known here
 */
export function imagesAsked(body: Body, fields: readonly string[]): { images: number; parts: number } {
  const { n, size, image_size, ...rest } = body
  for (const [field, value] of Object.entries(rest))
    if (value != null && !FREE.has(field) && !fields.includes(field) && !USUAL.get(field)?.includes(value))
      throw badRequest(
        `${field.slice(0, 100)}: nobody knows here what it costs; leave it out, or the owner of the node adds it to the fields of the model`,
        'unpriced_field'
      )
  if (n != null && !(Number.isSafeInteger(n) && (n as number) >= 1 && (n as number) <= MAX_IMAGES))
    throw badRequest(`n: write a whole number from 1 to ${MAX_IMAGES}`)
  const pixels = Math.max(pixelsOf('size', size), pixelsOf('image_size', image_size))
  return { images: (n as number | undefined) ?? 1, parts: Math.ceil(pixels / PIXELS) }
}

function pixelsOf(field: string, size: unknown): number {
  if (size == null || size === 'auto' || (typeof size === 'string' && NAMED_SIZE.test(size))) return PIXELS
  const [, across, down] = /^(\d{1,5})x(\d{1,5})$/.exec(String(size)) ?? []
  const { width, height } = typeof size === 'object' ? (size as Body) : { width: across, height: down }
  const pixels = Number(width) * Number(height)
  if (!Number.isSafeInteger(pixels) || pixels < 1)
    throw badRequest(`${field}: write it like 1024x768`, 'unpriced_field')
  return pixels
}
