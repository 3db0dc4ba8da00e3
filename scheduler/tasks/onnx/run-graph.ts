import type { createProduct } from '../matrix/multiply.ts'

/** Float64Array holds integers (shapes, axes). */
export interface Tensor {
  dims: number[]
  data: Float32Array | Float64Array
}

/** What the interpreter can do (github.com/onnx/onnx/blob/main/docs/Operators.md). */
export const OPERATORS = new Set(
  `Add Sub Mul Div MatMul Gemm Relu LeakyRelu Elu Sigmoid Tanh Exp Log Sqrt Neg Abs Clip Softmax LogSoftmax Conv MaxPool
   AveragePool GlobalAveragePool BatchNormalization Reshape Flatten Transpose Concat Squeeze Unsqueeze Identity Dropout
   Constant`.split(/\s+/)
)

interface Node {
  op: string
  inputs: string[]
  outputs: string[]
  attributes: Record<string, unknown>
}

/**
 * Runs a graph, node by node in its order. Sums are taken in float64 in ascending order, products of matrices through
 * `product`, and results rounded to float32: the same bits on every worker.
 *
 * Runs inside the sandbox; uses only `makeProduct` beside it.
 */
export function createGraph(
  graph: { opset: number; nodes: Node[]; outputs: string[]; tensors: Record<string, Tensor> },
  makeProduct: (init: { b: Tensor['data']; inner: number; cols: number }) => ReturnType<typeof createProduct>
) {
  const sizeOf = (dims: number[]): number => dims.reduce((product, dim) => product * dim, 1)
  const like = ({ dims, data }: Tensor, fn: (x: number) => number): Tensor => {
    const out = new Float32Array(data.length)
    for (let i = 0; i < out.length; i++) out[i] = fn(data[i]!)
    return { dims, data: out }
  }
  const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)
  const stridesOf = (dims: number[]): number[] => {
    const strides = new Array<number>(dims.length)
    let stride = 1
    for (let i = dims.length - 1; i >= 0; i--) {
      strides[i] = stride
      stride *= dims[i]!
    }
    return strides
  }

  /** numpy's broadcasting */
  function binary(a: Tensor, b: Tensor, fn: (x: number, y: number) => number): Tensor {
    const rank = Math.max(a.dims.length, b.dims.length)
    const pad = ({ dims }: Tensor): number[] => [...new Array(rank - dims.length).fill(1), ...dims]
    const [left, right] = [pad(a), pad(b)]
    const dims = left.map((dim, i) => {
      const other = right[i]!
      if (dim !== other && dim !== 1 && other !== 1)
        throw new RangeError(`${a.dims.join(' × ')} and ${b.dims.join(' × ')} do not go together`)
      return dim === 1 ? other : dim
    })
    const step = (own: number[]): number[] => stridesOf(own).map((stride, i) => (own[i] === 1 ? 0 : stride))
    const [stepA, stepB] = [step(left), step(right)]
    const integers = a.data instanceof Float64Array && b.data instanceof Float64Array
    const data = integers ? new Float64Array(sizeOf(dims)) : new Float32Array(sizeOf(dims))
    const index = new Array<number>(rank).fill(0)
    let at = 0
    let bt = 0
    for (let i = 0; i < data.length; i++) {
      const value = fn(a.data[at]!, b.data[bt]!)
      data[i] = integers ? Math.trunc(value) : value
      for (let d = rank - 1; d >= 0; d--) {
        at += stepA[d]!
        bt += stepB[d]!
        if (++index[d]! < dims[d]!) break
        at -= stepA[d]! * dims[d]!
        bt -= stepB[d]! * dims[d]!
        index[d] = 0
      }
    }
    return { dims, data }
  }

  function transpose({ dims, data }: Tensor, order: number[]): Tensor {
    const strides = stridesOf(dims)
    const outDims = order.map(axis => dims[axis]!)
    const steps = order.map(axis => strides[axis]!)
    const out = data.slice()
    const index = new Array<number>(order.length).fill(0)
    let at = 0
    for (let i = 0; i < out.length; i++) {
      out[i] = data[at]!
      for (let d = order.length - 1; d >= 0; d--) {
        at += steps[d]!
        if (++index[d]! < outDims[d]!) break
        at -= steps[d]! * outDims[d]!
        index[d] = 0
      }
    }
    return { dims: outDims, data: out }
  }

  // A weight is packed for the kernel once.
  const products = new Map<Tensor['data'], ReturnType<typeof createProduct>>()
  const constants = new Set(Object.values(graph.tensors).map(({ data }) => data))
  function multiply(a: Tensor['data'], b: Tensor['data'], inner: number, cols: number): Float32Array {
    const known = products.get(b)
    const product = known ?? makeProduct({ b, inner, cols })
    if (known == null && constants.has(b)) products.set(b, product)
    const rows = a.length / inner
    const out = new Float32Array(rows * cols)
    product(a, rows, out)
    return out
  }

  function matMul(a: Tensor, b: Tensor): Tensor {
    const inner = a.dims[a.dims.length - 1]!
    if (b.dims.length === 1) {
      const out = multiply(a.data, b.data, inner, 1)
      return { dims: a.dims.slice(0, -1), data: out }
    }
    const [depth, cols] = [b.dims[b.dims.length - 2]!, b.dims[b.dims.length - 1]!]
    if (inner !== depth) throw new RangeError(`MatMul of ${a.dims.join(' × ')} and ${b.dims.join(' × ')}`)
    if (b.dims.length === 2)
      return { dims: [...a.dims.slice(0, -1), cols], data: multiply(a.data, b.data, inner, cols) }
    const stack = sizeOf(b.dims.slice(0, -2))
    if (a.dims.length < 2 || sizeOf(a.dims.slice(0, -2)) !== stack)
      throw new RangeError(`MatMul of stacks ${a.dims.join(' × ')} and ${b.dims.join(' × ')}`)
    const rows = a.dims[a.dims.length - 2]!
    const data = new Float32Array(stack * rows * cols)
    for (let s = 0; s < stack; s++) {
      const left = a.data.subarray(s * rows * inner, (s + 1) * rows * inner)
      const right = b.data.slice(s * inner * cols, (s + 1) * inner * cols)
      data.set(multiply(left, right, inner, cols), s * rows * cols)
    }
    return { dims: [...a.dims.slice(0, -1), cols], data }
  }

  const turned = new Map<Tensor['data'], Tensor>()
  function turn(tensor: Tensor, when: unknown): Tensor {
    if (!when) return tensor
    const known = turned.get(tensor.data) ?? transpose(tensor, [1, 0])
    if (constants.has(tensor.data)) {
      turned.set(tensor.data, known)
      constants.add(known.data)
    }
    return known
  }

  function gemm({ attributes }: Node, [a, b, c]: Tensor[]): Tensor {
    const { alpha = 1, beta = 1, transA, transB } = attributes as Record<string, number>
    let out = matMul(turn(a!, transA), turn(b!, transB))
    if (alpha !== 1) out = like(out, x => alpha * x)
    return c == null ? out : binary(out, beta === 1 ? c : like(c, x => beta * x), (x, y) => x + y)
  }

  function softmax({ attributes }: Node, { dims, data }: Tensor, log: boolean): Tensor {
    const axis = axisOf((attributes.axis as number) ?? (graph.opset < 13 ? 1 : -1), dims.length)
    const length = graph.opset < 13 ? sizeOf(dims.slice(axis)) : dims[axis]!
    const inner = graph.opset < 13 ? 1 : sizeOf(dims.slice(axis + 1))
    const out = new Float32Array(data.length)
    for (let start = 0; start < data.length; start += length * inner) {
      for (let i = start; i < start + inner; i++) {
        let top = Number.NEGATIVE_INFINITY
        for (let k = 0; k < length; k++) top = Math.max(top, data[i + k * inner]!)
        let sum = 0
        for (let k = 0; k < length; k++) sum += Math.exp(data[i + k * inner]! - top)
        for (let k = 0; k < length; k++) {
          const x = data[i + k * inner]! - top
          out[i + k * inner] = log ? x - Math.log(sum) : Math.exp(x) / sum
        }
      }
    }
    return { dims, data: out }
  }

  /** Where a kernel stands: [top, left, bottom, right] pads, strides, dilations and the size of the output. */
  function windowOf({ attributes }: Node, dims: number[], kernel: number[]) {
    if (dims.length !== 4)
      throw new RangeError(`only images (4 dimensions) are known, not ${dims.join(' × ')}`)
    const {
      pads = [0, 0, 0, 0],
      strides = [1, 1],
      dilations = [1, 1]
    } = attributes as Record<string, number[]>
    const size = [0, 1].map(d => {
      const reach = dilations[d]! * (kernel[d]! - 1) + 1
      return Math.floor((dims[d + 2]! + pads[d]! + pads[d + 2]! - reach) / strides[d]!) + 1
    })
    return { pads, strides, dilations, size }
  }

  function conv(node: Node, [x, weights, bias]: Tensor[]): Tensor {
    const [batch, channels, height, width] = x!.dims as [number, number, number, number]
    const [filters, depth, kh, kw] = weights!.dims as [number, number, number, number]
    const { pads, strides, dilations, size } = windowOf(node, x!.dims, [kh, kw])
    const [oh, ow] = size as [number, number]
    const groups = (node.attributes.group as number) ?? 1
    const perGroup = filters / groups
    const inner = depth * kh * kw
    if (depth * groups !== channels)
      throw new RangeError(`Conv of ${x!.dims.join(' × ')} with ${weights!.dims.join(' × ')}`)
    const out = new Float32Array(batch * filters * oh * ow)
    const patches = new Float32Array(oh * ow * inner)
    for (let g = 0; g < groups; g++) {
      const kernel = kernelOf(weights!, g, perGroup, inner)
      for (let n = 0; n < batch; n++) {
        let to = 0
        for (let i = 0; i < oh; i++) {
          for (let j = 0; j < ow; j++) {
            for (let c = 0; c < depth; c++) {
              const plane = (n * channels + g * depth + c) * height
              for (let u = 0; u < kh; u++) {
                const row = i * strides[0]! - pads[0]! + u * dilations[0]!
                for (let v = 0; v < kw; v++) {
                  const col = j * strides[1]! - pads[1]! + v * dilations[1]!
                  const inside = row >= 0 && row < height && col >= 0 && col < width
                  patches[to++] = inside ? x!.data[(plane + row) * width + col]! : 0
                }
              }
            }
          }
        }
        const product = multiply(patches, kernel, inner, perGroup)
        for (let f = 0; f < perGroup; f++) {
          const filter = g * perGroup + f
          const add = bias?.data[filter] ?? 0
          const at = (n * filters + filter) * oh * ow
          for (let p = 0; p < oh * ow; p++) out[at + p] = product[p * perGroup + f]! + add
        }
      }
    }
    return { dims: [batch, filters, oh, ow], data: out }
  }

  const kernels = new Map<Tensor['data'], Tensor['data'][]>()
  /** the filters of one group as columns */
  function kernelOf(weights: Tensor, group: number, filters: number, inner: number): Tensor['data'] {
    const make = (): Tensor['data'] => {
      const at = group * filters * inner
      return transpose({ dims: [filters, inner], data: weights.data.slice(at, at + filters * inner) }, [1, 0])
        .data
    }
    if (!constants.has(weights.data)) return make()
    const known = kernels.get(weights.data) ?? []
    kernels.set(weights.data, known)
    known[group] ??= make()
    constants.add(known[group])
    return known[group]
  }

  function pool(node: Node, { dims, data }: Tensor, greatest: boolean): Tensor {
    const [kh, kw] = node.attributes.kernel_shape as [number, number]
    const { pads, strides, size } = windowOf(node, dims, [kh, kw])
    const [oh, ow] = size as [number, number]
    const [batch, channels, height, width] = dims as [number, number, number, number]
    const all = node.attributes.count_include_pad === 1
    const out = new Float32Array(batch * channels * oh * ow)
    for (let plane = 0, to = 0; plane < batch * channels; plane++) {
      for (let i = 0; i < oh; i++) {
        for (let j = 0; j < ow; j++, to++) {
          let top = Number.NEGATIVE_INFINITY
          let sum = 0
          let count = 0
          for (let u = 0; u < kh; u++) {
            const row = i * strides[0]! - pads[0]! + u
            if (row < 0 || row >= height) continue
            for (let v = 0; v < kw; v++) {
              const col = j * strides[1]! - pads[1]! + v
              if (col < 0 || col >= width) continue
              const value = data[(plane * height + row) * width + col]!
              top = Math.max(top, value)
              sum += value
              count++
            }
          }
          out[to] = greatest ? top : sum / (all ? kh * kw : count)
        }
      }
    }
    return { dims: [batch, channels, oh, ow], data: out }
  }

  function normalize({ attributes }: Node, [x, scale, shift, mean, variance]: Tensor[]): Tensor {
    const epsilon = (attributes.epsilon as number) ?? 1e-5
    const channels = x!.dims[1]!
    const plane = sizeOf(x!.dims.slice(2))
    const out = new Float32Array(x!.data.length)
    for (let i = 0; i < out.length; i++) {
      const c = Math.floor(i / plane) % channels
      const factor = scale!.data[c]! / Math.sqrt(variance!.data[c]! + epsilon)
      out[i] = (x!.data[i]! - mean!.data[c]!) * factor + shift!.data[c]!
    }
    return { dims: x!.dims, data: out }
  }

  function reshape({ dims, data }: Tensor, shape: Tensor['data'], keepZero: boolean): Tensor {
    const wanted = Array.from(shape, (dim, i) => (dim === 0 && !keepZero ? dims[i]! : dim))
    const known = sizeOf(wanted.filter(dim => dim !== -1))
    const out = wanted.map(dim => (dim === -1 ? data.length / known : dim))
    if (sizeOf(out) !== data.length)
      throw new RangeError(`Reshape of ${dims.join(' × ')} to ${wanted.join(' × ')}`)
    return { dims: out, data }
  }

  function concat({ attributes }: Node, parts: Tensor[]): Tensor {
    const { dims } = parts[0]!
    const axis = axisOf(attributes.axis as number, dims.length)
    const total = parts.reduce((sum, part) => sum + part.dims[axis]!, 0)
    const outer = sizeOf(dims.slice(0, axis))
    const integers = parts.every(({ data }) => data instanceof Float64Array)
    const size = parts.reduce((sum, { data }) => sum + data.length, 0)
    const data = integers ? new Float64Array(size) : new Float32Array(size)
    let to = 0
    for (let o = 0; o < outer; o++) {
      for (const part of parts) {
        const run = part.data.length / outer
        data.set(part.data.subarray(o * run, (o + 1) * run), to)
        to += run
      }
    }
    return { dims: dims.map((dim, i) => (i === axis ? total : dim)), data }
  }

  function axesOf({ attributes }: Node, given?: Tensor): number[] | undefined {
    return given == null ? (attributes.axes as number[] | undefined) : Array.from(given.data)
  }

  function squeeze(node: Node, [x, given]: Tensor[]): Tensor {
    const axes = axesOf(node, given)?.map(axis => axisOf(axis, x!.dims.length))
    return { dims: x!.dims.filter((dim, i) => (axes == null ? dim !== 1 : !axes.includes(i))), data: x!.data }
  }

  function unsqueeze(node: Node, [x, given]: Tensor[]): Tensor {
    const axes = axesOf(node, given)!
    const dims = [...x!.dims]
    const rank = dims.length + axes.length
    for (const axis of axes.map(each => axisOf(each, rank)).sort((a, b) => a - b)) dims.splice(axis, 0, 1)
    return { dims, data: x!.data }
  }

  function run(node: Node, inputs: Tensor[]): Tensor {
    const { op, attributes } = node
    const [x, y] = inputs as [Tensor, Tensor]
    const number = (name: string, fallback: number): number => (attributes[name] as number) ?? fallback
    switch (op) {
      case 'Add':
        return binary(x, y, (a, b) => a + b)
      case 'Sub':
        return binary(x, y, (a, b) => a - b)
      case 'Mul':
        return binary(x, y, (a, b) => a * b)
      case 'Div':
        return binary(x, y, (a, b) => a / b)
      case 'MatMul':
        return matMul(x, y)
      case 'Gemm':
        return gemm(node, inputs)
      case 'Relu':
        return like(x, a => Math.max(a, 0))
      case 'LeakyRelu':
        return like(x, a => (a >= 0 ? a : number('alpha', 0.01) * a))
      case 'Elu':
        return like(x, a => (a >= 0 ? a : number('alpha', 1) * Math.expm1(a)))
      case 'Sigmoid':
        return like(x, a => 1 / (1 + Math.exp(-a)))
      case 'Tanh':
        return like(x, Math.tanh)
      case 'Exp':
        return like(x, Math.exp)
      case 'Log':
        return like(x, Math.log)
      case 'Sqrt':
        return like(x, Math.sqrt)
      case 'Neg':
        return like(x, a => -a)
      case 'Abs':
        return like(x, Math.abs)
      case 'Clip': {
        const least = inputs[1]?.data[0] ?? number('min', Number.NEGATIVE_INFINITY)
        const most = inputs[2]?.data[0] ?? number('max', Number.POSITIVE_INFINITY)
        return like(x, a => Math.min(Math.max(a, least), most))
      }
      case 'Softmax':
        return softmax(node, x, false)
      case 'LogSoftmax':
        return softmax(node, x, true)
      case 'Conv':
        return conv(node, inputs)
      case 'MaxPool':
        return pool(node, x, true)
      case 'AveragePool':
        return pool(node, x, false)
      case 'GlobalAveragePool':
        return pool({ ...node, attributes: { kernel_shape: x.dims.slice(2) } }, x, false)
      case 'BatchNormalization':
        return normalize(node, inputs)
      case 'Reshape':
        return reshape(x, y.data, attributes.allowzero === 1)
      case 'Flatten': {
        const axis = axisOf(number('axis', 1), x.dims.length)
        return { dims: [sizeOf(x.dims.slice(0, axis)), sizeOf(x.dims.slice(axis))], data: x.data }
      }
      case 'Transpose':
        return transpose(x, (attributes.perm as number[]) ?? x.dims.map((_, i) => x.dims.length - 1 - i))
      case 'Concat':
        return concat(node, inputs)
      case 'Squeeze':
        return squeeze(node, inputs)
      case 'Unsqueeze':
        return unsqueeze(node, inputs)
      case 'Identity':
      case 'Dropout':
        return x
      case 'Constant':
        return attributes.value as Tensor
      default:
        throw new RangeError(`operator ${op} is not available`)
    }
  }

  return (feeds: Record<string, Tensor>): Record<string, Tensor> => {
    const values = new Map<string, Tensor>([...Object.entries(graph.tensors), ...Object.entries(feeds)])
    for (const node of graph.nodes) {
      const inputs = node.inputs.map(name => {
        const value = values.get(name)
        if (value == null && name !== '')
          throw new RangeError(`${node.op} needs \`${name}\`, which nothing gives`)
        return value
      })
      try {
        values.set(node.outputs[0]!, run(node, inputs as Tensor[]))
      } catch (err) {
        throw new RangeError(`${node.op} → ${node.outputs[0]}: ${(err as Error).message}`)
      }
    }
    const outputs: Record<string, Tensor> = {}
    for (const name of graph.outputs) {
      const value = values.get(name)
      if (value == null) throw new RangeError(`nothing gives the output \`${name}\``)
      outputs[name] = value
    }
    return outputs
  }
}
