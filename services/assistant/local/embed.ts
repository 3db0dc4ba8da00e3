import type { Jobs } from '../../host/index.ts'
import { badRequest } from '../errors.ts'
import type { Reply, Send } from '../provider/send.ts'
import { featuresOf, hashOf, wordsIn } from './ngrams.ts'
import { DIMENSIONS, ngramsModel, SCALE, WIDTH } from './ngrams-model.ts'
import { runJob } from './run-job.ts'

const MAX_TEXTS = 2048
/** of all texts of a question; so many take a tenth of a second of this process */
const MAX_CHARS = 256 * 1024
/** Rows that a worker has before it at once: 16 MiB of products, and as much again as numbers. */
const BATCH_ROWS = 32

/** Embeddings without a provider: each question is a job of the network, which runs the model behind its walls. */
export const createLocal =
  (jobs: () => Jobs | undefined): Send =>
  async (route, _, body, signal): Promise<Reply> => {
    const texts = textsOf(body?.input)
    const dimensions = dimensionsOf(body?.dimensions)
    const { rows, ends, ...input } = rowsOf(texts)
    const { sums } = (await runJob(
      jobs(),
      {
        type: 'ml_inference',
        model: ngramsModel(),
        input: {
          features: { dims: [rows, WIDTH, 1], data: input.features },
          weights: { dims: [rows, WIDTH, 1], data: input.weights }
        },
        batchSize: Math.min(rows, BATCH_ROWS)
      },
      signal
    )) as { sums: { data: Float32Array } }
    const words = texts.reduce((sum, text) => sum + wordsIn(text), 0)
    const data = ends.map((end, index) => {
      const embedding = joined(sums.data, ends[index - 1] ?? 0, end, dimensions)
      return { object: 'embedding', index, embedding }
    })
    const usage = { prompt_tokens: words, total_tokens: words }
    return { whole: { object: 'list', data, model: route.model.id, usage } }
  }

/** @throws {AssistantError} */
function textsOf(input: unknown): string[] {
  const texts = [input].flat()
  if (texts.length === 0 || texts.length > MAX_TEXTS) throw badRequest(`input: 1 to ${MAX_TEXTS} texts`)
  let chars = 0
  for (const text of texts) {
    if (typeof text !== 'string') throw badRequest('input: write texts; this model has no tokens of others')
    if (text.trim() === '') throw badRequest('input: a text is empty')
    // as it is read: one character can become eighteen
    if (chars <= MAX_CHARS) chars += text.normalize('NFKC').length
  }
  if (chars > MAX_CHARS) throw badRequest(`input: more than ${MAX_CHARS} characters; ask in parts`)
  return texts as string[]
}

function dimensionsOf(asked: unknown): number {
  if (asked == null) return DIMENSIONS
  if (!Number.isSafeInteger(asked) || (asked as number) < 1 || (asked as number) > DIMENSIONS)
    throw badRequest(`dimensions: a whole number from 1 to ${DIMENSIONS}`)
  return asked as number
}

/** The features of all texts one after the other; `ends`: behind the last row of each. */
function rowsOf(texts: readonly string[]) {
  const all = texts.map(featuresOf)
  let rows = 0
  const ends = all.map(({ size }) => {
    rows += Math.ceil(size / WIDTH)
    return rows
  })
  const features = new BigInt64Array(rows * WIDTH)
  const halves = new Int32Array(features.buffer)
  const weights = new Float32Array(rows * WIDTH)
  for (const [i, of] of all.entries()) {
    let at = (ends[i - 1] ?? 0) * WIDTH
    for (const [feature, weight] of of) {
      halves.set(hashOf(feature), at * 2)
      weights[at++] = weight * SCALE
    }
  }
  return { rows, ends, features, weights }
}

/** The sum of rows, of length 1. */
function joined(sums: Float32Array, from: number, to: number, dimensions: number): number[] {
  const sum = new Array<number>(dimensions).fill(0)
  for (let row = from; row < to; row++)
    for (let i = 0; i < dimensions; i++) sum[i]! += sums[row * DIMENSIONS + i]!
  const length = Math.hypot(...sum)
  return sum.map(value => Math.fround(value / length))
}
