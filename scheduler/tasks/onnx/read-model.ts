import { SpecError } from '../../errors.ts'
import { type Message, readMessage } from './protobuf.ts'

/** What this node has to know of an ONNX model to cut its input: not what it calculates, which the runtime knows. */
export interface Graph {
  /** of ONNX's own operators */
  opset: number
  inputs: Value[]
  outputs: Value[]
  nodes: GraphNode[]
  /** initializers */
  tensors: ReadonlyMap<string, Constant>
  /** it brings operators of its own */
  hasFunctions: boolean
  /** places of external data */
  locations: ReadonlySet<string>
}

export interface Value {
  name: string
  /** of its elements (TensorProto.DataType); 0 where the model says none; undefined for what is no tensor */
  type?: number
  /** 0 where any size is allowed; undefined: any number of them */
  dims?: number[]
  /** what the model calls its dimensions; '' where they have no name */
  names: string[]
}

export interface GraphNode {
  /** with its domain, unless it is ONNX's own */
  op: string
  inputs: string[]
  outputs: string[]
  attributes: ReadonlyMap<string, Attribute>
  /** it holds graphs, which may use any value of this one */
  hasGraphs: boolean
}

export type Attribute = number | string | number[] | Constant

export interface Constant {
  dims: number[]
  /** of numbers that may be shapes, axes or scales, unless there are many */
  data?: number[]
}

// weights are nothing that a cut hangs on
const MAX_NUMBERS = 64
const MAX_DIMS = 64
const EXTERNAL = 1 // TensorProto.DataLocation
// TensorProto.DataType
const [FLOAT, INT32, INT64] = [1, 6, 7]
// AttributeProto.AttributeType
const [INT, STRING, TENSOR, GRAPH, INTS, GRAPHS] = [2, 3, 4, 5, 7, 10]

// a model is asked for when its task is checked, tried and planned
const graphs = new WeakMap<Uint8Array, Graph>()

/** Reads a model (github.com/onnx/onnx, onnx/onnx.proto). Throws SpecError. */
export function readModel(bytes: Uint8Array): Graph {
  const known = graphs.get(bytes)
  if (known !== undefined) return known
  const graph = readGraph(bytes)
  graphs.set(bytes, graph)
  return graph
}

function readGraph(bytes: Uint8Array): Graph {
  try {
    const model = readMessage(bytes)
    const [graph, ...others] = model.messages(7)
    if (graph == null || others.length > 0) throw new RangeError('it has no graph, or several')
    const opset = model.messages(8).find(each => ['', 'ai.onnx'].includes(each.text(1)))
    const locations = new Set<string>()
    const tensors = new Map(
      graph.messages(5).map(each => {
        if (each.int(14) === EXTERNAL)
          for (const entry of each.messages(13))
            if (entry.text(1) === 'location') locations.add(entry.text(2))
        return [each.text(8), readTensor(each)]
      })
    )
    return {
      opset: opset?.int(2) ?? 0,
      inputs: graph
        .messages(11)
        .map(readValue)
        .filter(({ name }) => !tensors.has(name)),
      outputs: graph.messages(12).map(readValue),
      nodes: graph.messages(1).map(readNode),
      tensors,
      hasFunctions: model.messages(25).length > 0,
      locations
    }
  } catch (err) {
    throw new SpecError('model', `is not an ONNX model: ${(err as Error).message}`)
  }
}

function readNode(message: Message): GraphNode {
  const attributes = message.messages(5)
  const domain = message.text(7)
  return {
    op: (['', 'ai.onnx'].includes(domain) ? '' : `${domain}.`) + message.text(4),
    inputs: message.texts(1),
    outputs: message.texts(2),
    hasGraphs: attributes.some(each => [GRAPH, GRAPHS].includes(each.int(20))),
    attributes: new Map(
      attributes.flatMap(each => {
        const value = readAttribute(each)
        return value === undefined ? [] : [[each.text(1), value]]
      })
    )
  }
}

/** undefined for what no cut hangs on */
function readAttribute(message: Message): Attribute | undefined {
  switch (message.int(20)) {
    case INT:
      return message.int(3)
    case STRING:
      return message.text(4)
    case TENSOR:
      return message.messages(5).map(readTensor)[0]
    case INTS:
      return message.ints(8, MAX_NUMBERS)
    default:
      return undefined
  }
}

function readTensor(message: Message): Constant {
  const dims = message.ints(1, MAX_DIMS)
  if (dims === undefined)
    throw new RangeError(`tensor ${message.text(8)} has more than ${MAX_DIMS} dimensions`)
  const type = message.int(2)
  const size = sizeOf(dims)
  const isKnown = [FLOAT, INT32, INT64].includes(type) && size <= MAX_NUMBERS && message.int(14) !== EXTERNAL
  if (!isKnown) return { dims }
  const raw = message.bytes(9) ?? (type === FLOAT ? message.bytes(4) : undefined)
  if (raw === undefined) {
    const data = type === FLOAT ? undefined : message.ints(type === INT64 ? 7 : 5, MAX_NUMBERS)
    return data?.length === size ? { dims, data } : { dims }
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  if (view.byteLength !== size * (type === INT64 ? 8 : 4)) return { dims }
  const read = (at: number): number =>
    type === INT64
      ? Number(view.getBigInt64(8 * at, true))
      : type === INT32
        ? view.getInt32(4 * at, true)
        : view.getFloat32(4 * at, true)
  return { dims, data: Array.from({ length: size }, (_, i) => read(i)) }
}

function readValue(message: Message): Value {
  const tensor = message.messages(2)[0]?.messages(1)[0]
  const dims = tensor?.messages(2)[0]?.messages(1)
  return {
    name: message.text(1),
    type: tensor?.int(1),
    dims: dims?.map(dim => dim.int(1)),
    names: dims?.map(dim => dim.text(2)) ?? []
  }
}

/** elements of a tensor */
export const sizeOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)
