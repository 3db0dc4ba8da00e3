import { SpecError } from '../errors.ts'
import type { InferenceSpec } from '../spec.ts'
import { OPERATORS, type Tensor } from './onnx-operators.ts'

type Attribute = number | string | number[] | Tensor

export interface GraphNode {
  op: string
  inputs: string[]
  outputs: string[]
  attributes: Record<string, Attribute>
}

/** An ONNX model as plain data, so that a worker needs no protobuf. */
export interface Graph {
  opset: number
  /** `dims`: 0 where any size is allowed */
  inputs: { name: string; dims: number[] }[]
  outputs: string[]
  nodes: GraphNode[]
  tensors: Record<string, Tensor>
}

// Model and envelope must fit into one message.
const MAX_MODEL_BYTES = 48 * 1024 * 1024
const [MIN_OPSET, MAX_OPSET] = [7, 23]
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
        .map(each => ({ name: each.text(1), dims: readDims(each) })),
      outputs: graph.messages(12).map(each => each.text(1)),
      nodes: graph.messages(1).map(each => ({
        op: (each.text(7) === '' ? '' : `${each.text(7)}.`) + each.text(4),
        inputs: each.texts(1),
        outputs: each.texts(2),
        attributes: Object.fromEntries(each.messages(5).map(one => [one.text(1), readAttribute(one)]))
      })),
      tensors
    }
  } catch (err) {
    throw new SpecError('model', `is not an ONNX model: ${(err as Error).message}`)
  }
}

/** Throws SpecError where this node's workers could not run the model on these inputs. */
export function checkModel({ model, input, batchSize }: InferenceSpec): void {
  if (model.length > MAX_MODEL_BYTES)
    throw new SpecError('model', `has ${model.length} bytes, at most ${MAX_MODEL_BYTES}`)
  const graph = readModel(model)
  if (graph.opset < MIN_OPSET || graph.opset > MAX_OPSET)
    throw new SpecError('model', `uses opset ${graph.opset}, known are ${MIN_OPSET} to ${MAX_OPSET}`)
  const unknown = new Set(graph.nodes.map(({ op }) => op).filter(op => !OPERATORS.has(op)))
  if (unknown.size > 0)
    throw new SpecError(
      'model',
      `uses ${[...unknown].join(', ')}, which is not available; there are ${[...OPERATORS].sort().join(', ')}`
    )
  for (const { op, attributes } of graph.nodes) {
    const strange =
      (attributes.auto_pad ?? 'NOTSET') !== 'NOTSET'
        ? 'auto_pad'
        : attributes.ceil_mode
          ? 'ceil_mode'
          : op === 'MaxPool' && (attributes.dilations as number[] | undefined)?.some(each => each !== 1)
            ? 'dilations'
            : undefined
    if (strange != null)
      throw new SpecError('model', `${op} has \`${strange}\`, which is not available; export it without`)
  }
  const inputs = inputsOf(graph, input)
  const rows = Object.values(inputs)[0]?.dims[0] ?? 0
  for (const { name, dims } of graph.inputs) {
    const given = inputs[name]
    if (given == null) throw new SpecError('input', `\`${name}\` is missing; the model takes ${names(graph)}`)
    const fits =
      dims.length === given.dims.length &&
      dims.every((dim, i) => i === 0 || dim === 0 || dim === given.dims[i])
    if (!fits)
      throw new SpecError(
        `input.${name}`,
        `is ${given.dims.join(' × ')}, the model takes ${dims.map(dim => dim || 'any').join(' × ')}`
      )
    if (given.dims[0] !== rows || rows === 0)
      throw new SpecError(
        `input.${name}`,
        `has ${given.dims[0]} rows; all inputs need the same number above 0`
      )
    const fixed = dims[0]!
    if (fixed > 0 && (rows % fixed !== 0 || (batchSize ?? fixed) !== fixed))
      throw new SpecError(
        'batchSize',
        `must be ${fixed}, and the rows a multiple of it: the model was exported for batches of that size`
      )
  }
  const extra = Object.keys(inputs).find(name => !graph.inputs.some(each => each.name === name))
  if (extra != null)
    throw new SpecError('input', `\`${extra}\` is not an input of the model; it takes ${names(graph)}`)
}

const names = (graph: Graph): string => graph.inputs.map(({ name }) => `\`${name}\``).join(', ')

/** Inputs by name; a single tensor is the model's first input. */
export function inputsOf(graph: Graph, input: InferenceSpec['input']): Record<string, Tensor> {
  return Array.isArray(input.dims)
    ? { [graph.inputs[0]?.name ?? '']: input as Tensor }
    : (input as Record<string, Tensor>)
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
  else if (type === DOUBLE)
    data = Float32Array.from(read(8, (v, at) => v.getFloat64(at, true)) ?? message.floats(10, 8))
  else if (type === INT64)
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

function readDims(valueInfo: Message): number[] {
  const shape = valueInfo.messages(2)[0]?.messages(1)[0]?.messages(2)[0]
  return shape?.messages(1).map(dim => dim.int(1)) ?? []
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
