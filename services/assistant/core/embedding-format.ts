type Json = Record<string, unknown>

/** Embeddings as they were asked for, whatever the provider gave: numbers, or float32 in little-endian as base64. */
export function withFormat(answer: Json, asBase64: boolean): Json {
  const data = (answer.data as Json[]).map(({ embedding, ...rest }) => ({
    ...rest,
    embedding: asBase64 ? toBase64(embedding) : toNumbers(embedding)
  }))
  return { ...answer, data }
}

function toBase64(embedding: unknown): string {
  if (typeof embedding === 'string') return embedding
  const numbers = embedding as number[]
  const bytes = Buffer.alloc(numbers.length * 4)
  for (const [i, number] of numbers.entries()) bytes.writeFloatLE(number, i * 4)
  return bytes.toString('base64')
}

function toNumbers(embedding: unknown): number[] {
  if (typeof embedding !== 'string') return embedding as number[]
  const bytes = Buffer.from(embedding, 'base64')
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(i * 4))
}

/** Whether it is an answer with embeddings, of either form. */
export const hasEmbeddings = ({ data }: Json): boolean =>
  Array.isArray(data) &&
  data.every(
    each =>
      typeof each?.embedding === 'string' ||
      (Array.isArray(each?.embedding) &&
        each.embedding.every((number: unknown) => typeof number === 'number'))
  )
