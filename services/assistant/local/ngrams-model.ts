import { createHash } from 'node:crypto'

/** Numbers of an embedding. */
export const DIMENSIONS = 256
/** Features of a row; a text with more has several rows, whose sum is that of the text. */
export const WIDTH = 256
/** what the whole range of a product is 1 of; goes into the weights */
export const SCALE = 2 ** -63

const [FLOAT, INT64] = [1, 7]
// of the operators that are used no later one says anything new
const OPSET = 11
const IR_VERSION = 6

let made: Uint8Array | undefined

/**
 * An ONNX model of 2 KB that projects hashed features by chance, the same for ever: each feature has, for each number of
 * the embedding, a value between -1 and 1, the product of its hash with an odd number of 64 bits. Its weights are drawn
 * from SHAKE256, and nothing in it was learnt.
 */
export function ngramsModel(): Uint8Array {
  made ??= join([
    number(1, IR_VERSION),
    field(7, graph()),
    field(8, join([field(1, text('')), number(2, OPSET)]))
  ])
  return made
}

function graph(): Uint8Array {
  const drawn = createHash('shake256', { outputLength: DIMENSIONS * 8 })
    .update('artel n-grams 1')
    .digest()
  for (let i = 0; i < drawn.length; i += 8) drawn[i]! |= 1
  const factors = join([
    ...[1, 1, DIMENSIONS].map(size => number(1, size)),
    number(2, INT64),
    field(8, text('factors')),
    field(9, drawn)
  ])
  const rows = (name: string, type: number): Uint8Array => {
    const sizes = [field(2, text('rows')), number(1, WIDTH), number(1, 1)].map(size => field(1, size))
    return described(name, join([number(1, type), field(2, join(sizes))]))
  }
  return join([
    ...[
      nodeOf('Mul', ['features', 'factors'], 'products'),
      nodeOf('Cast', ['products'], 'values', [['to', number(3, FLOAT), 2]]),
      nodeOf('Mul', ['values', 'weights'], 'weighted'),
      nodeOf('ReduceSum', ['weighted'], 'sums', [
        ['axes', number(8, 1), 7],
        ['keepdims', number(3, 0), 2]
      ])
    ].map(node => field(1, node)),
    field(2, text('n-grams')),
    field(5, factors),
    field(11, rows('features', INT64)),
    field(11, rows('weights', FLOAT)),
    field(12, described('sums', number(1, FLOAT)))
  ])
}

/* Messages of onnx.proto3. */

function nodeOf(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly (readonly [name: string, value: Uint8Array, type: number])[] = []
): Uint8Array {
  return join([
    ...inputs.map(name => field(1, text(name))),
    field(2, text(output)),
    field(4, text(op)),
    ...attributes.map(([name, value, type]) =>
      field(5, join([field(1, text(name)), value, number(20, type)]))
    )
  ])
}

const described = (name: string, tensor: Uint8Array): Uint8Array =>
  join([field(1, text(name)), field(2, field(1, tensor))])

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const join = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))
const field = (id: number, body: Uint8Array): Uint8Array =>
  join([varint(id * 8 + 2), varint(body.length), body])
const number = (id: number, value: number): Uint8Array => join([varint(id * 8), varint(value)])

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
