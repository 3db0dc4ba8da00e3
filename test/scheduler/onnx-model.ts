/** A small encoder of ONNX models (github.com/onnx/onnx, onnx/onnx.proto), enough to make them without Python. */

export interface OnnxTensor {
  dims: number[]
  data: Float32Array | BigInt64Array
  /** its bytes are all of that file */
  location?: string
}

export interface OnnxNode {
  op: string
  inputs: string[]
  outputs: string[]
  /** integers, lists of integers, `{ float }`, `{ graph }`, text or tensors */
  attributes?: Record<
    string,
    number | number[] | string | { float: number } | { graph: OnnxModel } | OnnxTensor
  >
}

export interface OnnxModel {
  opset?: number
  /** a text as dimension: any size */
  inputs: {
    name: string
    dims: (number | string)[] /** TensorProto.DataType; default: float */
    type?: number
  }[]
  outputs: (string | { name: string; dims?: (number | string)[]; type?: number })[]
  nodes: OnnxNode[]
  tensors?: Record<string, OnnxTensor>
}

const FLOAT = 1
const INT64 = 7

export function encodeModel(model: OnnxModel): Uint8Array {
  const opset = join([field(1, text('')), number(2, model.opset ?? 13)])
  return join([number(1, 8), field(7, graphOf(model)), field(8, opset)])
}

function graphOf({ inputs, outputs, nodes, tensors = {} }: OnnxModel): Uint8Array {
  return join([
    ...nodes.map(node => field(1, nodeOf(node))),
    field(2, text('graph')),
    ...Object.entries(tensors).map(([name, tensor]) => field(5, tensorOf(tensor, name))),
    ...inputs.map(({ name, dims, type }) => field(11, valueInfo(name, dims, type))),
    ...outputs.map(each => {
      const { name, dims, type } = typeof each === 'string' ? { name: each } : each
      return field(12, valueInfo(name, dims, type))
    })
  ])
}

function nodeOf({ op, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array {
  return join([
    ...inputs.map(name => field(1, text(name))),
    ...outputs.map(name => field(2, text(name))),
    field(4, text(op)),
    ...Object.entries(attributes).map(([name, value]) => field(5, attributeOf(name, value)))
  ])
}

function attributeOf(name: string, value: NonNullable<OnnxNode['attributes']>[string]): Uint8Array {
  const head = field(1, text(name))
  if (typeof value === 'number') return join([head, number(3, value), number(20, 2)])
  if (typeof value === 'string') return join([head, field(4, text(value)), number(20, 3)])
  if (Array.isArray(value)) return join([head, ...value.map(each => number(8, each)), number(20, 7)])
  if ('float' in value) return join([head, Uint8Array.of((2 << 3) | 5), float(value.float), number(20, 1)])
  if ('graph' in value) return join([head, field(6, graphOf(value.graph)), number(20, 5)])
  return join([head, field(5, tensorOf(value, '')), number(20, 4)])
}

function tensorOf({ dims, data, location }: OnnxTensor, name: string): Uint8Array {
  return join([
    ...dims.map(dim => number(1, dim)),
    number(2, data instanceof Float32Array ? FLOAT : INT64),
    field(8, text(name)),
    ...(location === undefined
      ? [field(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))]
      : [field(13, join([field(1, text('location')), field(2, text(location))])), number(14, 1)])
  ])
}

function valueInfo(name: string, dims?: (number | string)[], elements = FLOAT): Uint8Array {
  const shape = dims?.map(dim => field(1, typeof dim === 'number' ? number(1, dim) : field(2, text(dim))))
  const type = join([number(1, elements), ...(shape == null ? [] : [field(2, join(shape))])])
  return join([field(1, text(name)), field(2, field(1, type))])
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const float = (value: number): Uint8Array => new Uint8Array(Float32Array.of(value).buffer)
const join = (parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))
const field = (id: number, body: Uint8Array): Uint8Array =>
  join([varint((id << 3) | 2), varint(body.length), body])
const number = (id: number, value: number): Uint8Array => join([varint(id << 3), varint(value)])

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(bytes)
}

/**
 * The same model, whose inputs may have any number of rows, and whose outputs any shape. `constants`: inputs that are
 * initializers in it, as TensorProto.
 */
export function withOpenRows(model: Uint8Array, constants: Record<string, Uint8Array> = {}): Uint8Array {
  const tensors = Object.entries(constants).map(([name, tensor]) =>
    field(5, join([tensor, field(8, text(name))]))
  )
  return mapFields(model, (id, body) =>
    id !== 7
      ? body
      : mapFields(join([body, ...tensors]), (part, value) => {
          if (part === 12)
            return join([...pieces(value)].filter(([key]) => key === 1).map(([, , whole]) => whole))
          if (part !== 11) return value
          const type = (of: Uint8Array) =>
            mapFields(of, (key, tensor) =>
              key === 1 ? mapFields(tensor, (k, shape) => (k === 2 ? openFirst(shape) : shape)) : tensor
            )
          return mapFields(value, (key, each) => (key === 2 ? type(each) : each))
        })
  )
}

function openFirst(shape: Uint8Array): Uint8Array {
  let isFirst = true
  return mapFields(shape, (_, dim) => {
    const made = isFirst ? field(2, text('rows')) : dim
    isFirst = false
    return made
  })
}

/** Changes the fields that are messages. */
function mapFields(message: Uint8Array, change: (id: number, body: Uint8Array) => Uint8Array): Uint8Array {
  return join(
    [...pieces(message)].map(([id, body, whole]) =>
      body === undefined ? whole : field(id, change(id, body))
    )
  )
}

function* pieces(
  message: Uint8Array
): Iterable<[id: number, body: Uint8Array | undefined, whole: Uint8Array]> {
  for (let at = 0; at < message.length; ) {
    const from = at
    const read = () => {
      let value = 0
      for (let shift = 1; ; shift *= 128) {
        const byte = message[at++]!
        value += (byte & 127) * shift
        if (byte < 128) return value
      }
    }
    const key = read()
    const wire = key & 7
    let body: Uint8Array | undefined
    if (wire === 0) read()
    else if (wire === 2) {
      const size = read()
      body = message.subarray(at, at + size)
      at += size
    } else at += wire === 1 ? 8 : 4
    yield [key >>> 3, body, message.subarray(from, at)]
  }
}
