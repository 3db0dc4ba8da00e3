import { SpecError } from '../../errors.ts'
import type { Tensor } from './run-graph.ts'

type Attribute = number | string | number[] | Tensor

export interface GraphNode {
  op: string
  inputs: string[]
  outputs: string[]
  attributes: Record<string, Attribute>
}

/** A model, and what to run it on. */
export interface Inference {
  model: Uint8Array
  /** a tensor, or one per input of the model by name */
  input: Tensor | Record<string, Tensor>
  /** rows of the first dimension that the model sees at once */
  batchSize?: number
}

/** An ONNX model as plain data, so that a worker needs no protobuf. */
export interface Graph {
  opset: number
  /** `dims`: 0 where any size is allowed; `type`: of its elements (TensorProto.DataType), 0 where the model says none */
  inputs: { name: string; dims: number[]; type: number }[]
  outputs: string[]
  nodes: GraphNode[]
  tensors: Record<string, Tensor>
}

// TensorProto.DataType
const [FLOAT, INT32, INT64, DOUBLE] = [1, 6, 7, 11]

/** Reads a model (github.com/onnx/onnx, onnx/onnx.proto). Throws SpecError. */
export function readModel(bytes: Uint8Array): Graph {
  try {
    const model = readMessage(bytes)
    const opset = model.messages(8).find(each => ['', 'ai.onnx'].includes(each.text(1)))
    const graph = model.messages(7)[0]
    if (graph == null) throw new RangeError('it has no graph')
    const tensors = Object.fromEntries(graph.messages(5).map(each => [each.text(8), readTensor(each)]))
    return {
      opset: opset?.int(2) ?? 0,
      inputs: graph
        .messages(11)
        .filter(each => tensors[each.text(1)] == null)
        .map(each => ({ name: each.text(1), ...readType(each) })),
      outputs: graph.messages(12).map(each => each.text(1)),
      nodes: graph.messages(1).map(each => ({
        op: (each.text(7) === '' ? '' : `${each.text(7)}.`) + each.text(4),
        inputs: each.texts(1),
        outputs: each.texts(2),
        attributes: constantOf(
          Object.fromEntries(each.messages(5).map(one => [one.text(1), readAttribute(one)]))
        )
      })),
      tensors
    }
  } catch (err) {
    throw new SpecError('model', `is not an ONNX model: ${(err as Error).message}`)
  }
}

function readTensor(message: Message): Tensor {
  const dims = message.ints(1)
  const type = message.int(2)
  const size = dims.reduce((product, dim) => product * dim, 1)
  const raw = message.bytes(9)
  const view = raw && new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const read = (width: number, at: (view: DataView, offset: number) => number): number[] | undefined =>
    view && Array.from({ length: Math.floor(view.byteLength / width) }, (_, i) => at(view, i * width))
  let data: Float32Array | Float64Array
  if (type === FLOAT)
    data = Float32Array.from(read(4, (v, at) => v.getFloat32(at, true)) ?? message.floats(4, 4))
  else if (type === DOUBLE) {
    const doubles = read(8, (v, at) => v.getFloat64(at, true)) ?? message.floats(10, 8)
    data = Float32Array.from(doubles)
    const lost = doubles.find((x, i) => Number.isFinite(x) && !Number.isFinite(data[i]))
    if (lost != null) throw new RangeError(`tensor ${message.text(8)} holds ${lost}, which float32 cannot`)
  } else if (type === INT64)
    data = Float64Array.from(read(8, (v, at) => Number(v.getBigInt64(at, true))) ?? message.ints(7))
  else if (type === INT32)
    data = Float64Array.from(read(4, (v, at) => v.getInt32(at, true)) ?? message.ints(5))
  else
    throw new RangeError(
      `tensor ${message.text(8)} is of type ${type}; float, double, int32, int64 are known`
    )
  if (data.length !== size)
    throw new RangeError(`tensor ${message.text(8)} has ${data.length} numbers, its dims say ${size}`)
  return { dims, data }
}

function readAttribute(message: Message): Attribute {
  const type = message.int(20)
  switch (type) {
    case 1:
      return message.floats(2, 4)[0] ?? 0
    case 2:
      return message.int(3)
    case 3:
      return message.text(4)
    case 4:
      return readTensor(message.messages(5)[0]!)
    case 6:
      return message.floats(7, 4)
    case 7:
      return message.ints(8)
    default:
      throw new RangeError(`attribute ${message.text(1)} is of type ${type}, which is not known`)
  }
}

/** A Constant may give its tensor as plain numbers (since opset 12). */
function constantOf(attributes: Record<string, Attribute>): Record<string, Attribute> {
  const { value_float, value_floats, value_int, value_ints } = attributes as Record<string, number | number[]>
  const floats = value_float ?? value_floats
  const given = floats ?? value_int ?? value_ints
  if (given == null) return attributes
  const list = [given].flat()
  const data = floats == null ? Float64Array.from(list) : Float32Array.from(list)
  return { ...attributes, value: { dims: Array.isArray(given) ? [list.length] : [], data } }
}

function readType(valueInfo: Message): { dims: number[]; type: number } {
  const tensor = valueInfo.messages(2)[0]?.messages(1)[0]
  const dims = tensor?.messages(2)[0]?.messages(1)
  return { dims: dims?.map(dim => dim.int(1)) ?? [], type: tensor?.int(1) ?? 0 }
}

// ---- protobuf (protobuf.dev/programming-guides/encoding) ----

interface Message {
  messages(field: number): Message[]
  bytes(field: number): Uint8Array | undefined
  text(field: number): string
  texts(field: number): string[]
  int(field: number): number
  /** repeated integers, packed or not */
  ints(field: number): number[]
  /** one or more floats of `width` bytes, packed or not */
  floats(field: number, width: 4 | 8): number[]
}

function readMessage(bytes: Uint8Array): Message {
  const fields = new Map<number, (bigint | Uint8Array)[]>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new RangeError('it ends within a number')
      const byte = bytes[at++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return BigInt.asIntN(64, value)
    }
    throw new RangeError('a number is longer than 64 bits')
  }
  const take = (size: number): Uint8Array => {
    if (size < 0 || at + size > bytes.length) throw new RangeError('it ends within a field')
    at += size
    return bytes.subarray(at - size, at)
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const wire = key & 7
    const value =
      wire === 0
        ? varint()
        : wire === 1
          ? take(8)
          : wire === 2
            ? take(Number(varint()))
            : wire === 5
              ? take(4)
              : undefined
    if (value === undefined) throw new RangeError(`wire type ${wire} is not known`)
    const list = fields.get(key >>> 3) ?? []
    list.push(value)
    fields.set(key >>> 3, list)
  }
  const all = (field: number): (bigint | Uint8Array)[] => fields.get(field) ?? []
  const buffers = (field: number): Uint8Array[] => all(field).filter(value => value instanceof Uint8Array)
  const decoder = new TextDecoder()
  return {
    messages: field => buffers(field).map(value => readMessage(value)),
    bytes: field => buffers(field)[0],
    text: field => decoder.decode(buffers(field)[0]),
    texts: field => buffers(field).map(value => decoder.decode(value)),
    int: field => Number(all(field).find(value => typeof value === 'bigint') ?? 0),
    ints: field =>
      all(field).flatMap(value => (typeof value === 'bigint' ? [Number(value)] : readPacked(value))),
    floats: (field, width) =>
      buffers(field).flatMap(value => {
        const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
        return Array.from({ length: Math.floor(value.length / width) }, (_, i) =>
          width === 4 ? view.getFloat32(i * 4, true) : view.getFloat64(i * 8, true)
        )
      })
  }
}

function readPacked(bytes: Uint8Array): number[] {
  const numbers: number[] = []
  let value = 0n
  let shift = 0n
  for (const byte of bytes) {
    value |= BigInt(byte & 127) << shift
    shift += 7n
    if (byte >= 128) continue
    numbers.push(Number(BigInt.asIntN(64, value)))
    value = 0n
    shift = 0n
  }
  return numbers
}
