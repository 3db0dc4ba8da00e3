import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { ProtocolError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import { type DriverTools, driverSource, encodeContext } from '../drivers.ts'
import { gemmKernel } from '../matrix/gemm-kernel.ts'
import { createProduct } from '../matrix/multiply.ts'
import { inputsOf } from '../onnx/check-model.ts'
import { mixesRows } from '../onnx/mixes-rows.ts'
import { type Graph, readModel } from '../onnx/read-model.ts'
import { createGraph, type Tensor } from '../onnx/run-graph.ts'
import type { Inference } from './read-model.ts'

interface Input {
  feeds: Record<string, Tensor>
  rows: number
  batchSize: number
}

type Tensors = Record<string, Tensor>

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(_task: unknown, _functions: unknown, context: { graph: Graph }, tools?: DriverTools) {
  const infer = createGraph(context.graph, init => createProduct(init, tools?.wasm, new Uint8Array(KERNEL)))
  return ({ feeds, rows, batchSize }: Input): unknown => {
    const batches: Tensors[] = []
    for (let from = 0; from < rows; from += batchSize)
      batches.push(infer(cutRows(feeds, from, Math.min(rows, from + batchSize))))
    return joinRows(batches)
  }
}

/** Rows [from, to) of every tensor. Self-contained, runs on both sides. */
function cutRows(tensors: Tensors, from: number, to: number): Tensors {
  const cut: Tensors = {}
  for (const [name, { dims, data }] of Object.entries(tensors)) {
    const row = data.length / dims[0]!
    cut[name] = { dims: [to - from, ...dims.slice(1)], data: data.slice(from * row, to * row) }
  }
  return cut
}

/** The rows of all parts, one after the other. Self-contained, runs on both sides. */
function joinRows(parts: Tensors[]): Tensors {
  if (parts.length === 1) return parts[0]!
  const joined: Tensors = {}
  for (const name of Object.keys(parts[0]!)) {
    const tensors = parts.map(part => part[name]!)
    const [{ dims, data: first }] = tensors as [Tensor]
    const size = tensors.reduce((sum, { data }) => sum + data.length, 0)
    const data = first instanceof Float64Array ? new Float64Array(size) : new Float32Array(size)
    let at = 0
    for (const tensor of tensors) {
      data.set(tensor.data, at)
      at += tensor.data.length
    }
    joined[name] = { dims: [tensors.reduce((sum, each) => sum + each.dims[0]!, 0), ...dims.slice(1)], data }
  }
  return joined
}

const KERNEL = [...gemmKernel()]
const DRIVER = driverSource(driver, { createGraph, createProduct, cutRows, joinRows }, { KERNEL })

// Enough rows that a product of matrices is worth its fixed cost.
const BATCH_SIZE = 32

/** A unit is a batch of `batchSize` rows, or all rows where the model mixes them; the model travels once per worker, as the program's context. */
export function planInference(spec: Inference): Plan {
  const graph = readModel(spec.model)
  const feeds = inputsOf(graph, spec.input)
  const rows = Object.values(feeds)[0]!.dims[0]!
  const isWhole = mixesRows(graph) != null
  const batchSize = spec.batchSize ?? (graph.inputs[0]?.dims[0] || (isWhole ? rows : BATCH_SIZE))
  const units = Math.ceil(rows / batchSize)
  const input = (first: number, count: number): Input => {
    const from = first * batchSize
    const to = Math.min(rows, from + count * batchSize)
    return { feeds: cutRows(feeds, from, to), rows: to - from, batchSize }
  }
  return {
    units,
    program: { kind: 'expression', source: 'x', driver: DRIVER, context: encodeContext({ graph }) },
    input,
    whole: input(0, units),
    createReducer() {
      const parts: { first: number; outputs: Tensors }[] = []
      return {
        add(first, count, value) {
          const outputs = decodeValue(value)
          const from = first * batchSize
          expectOutputs(outputs, graph.outputs)
          if (units > 1) expectRows(outputs, Math.min(rows, from + count * batchSize) - from)
          parts.push({ first, outputs })
        },
        async finish() {
          parts.sort((a, b) => a.first - b.first)
          return encodeValue(joinRows(parts.map(({ outputs }) => outputs)))
        }
      }
    }
  }
}

function expectOutputs(value: unknown, names: string[]): asserts value is Tensors {
  const tensors = (value ?? {}) as Partial<Tensors>
  for (const name of names) {
    const tensor = tensors[name]
    const right =
      Array.isArray(tensor?.dims) &&
      (tensor.data instanceof Float32Array || tensor.data instanceof Float64Array) &&
      tensor.data.length === tensor.dims.reduce((product, dim) => product * dim, 1)
    if (!right) throw new ProtocolError(`a result has no tensor ${name}`)
  }
}

function expectRows(tensors: Tensors, rows: number): void {
  for (const [name, { dims }] of Object.entries(tensors)) {
    if (dims[0] !== rows) throw new ProtocolError(`output ${name} has ${dims[0]} rows for a batch of ${rows}`)
  }
}
