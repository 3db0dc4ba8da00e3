import { SpecError } from '../../errors.ts'
import type { Graph, GraphNode } from './read-model.ts'

/**
 * What is known of a value before the model runs: `dims` (0: any size; absent: not even how many), and how its rows stand
 * to those of the inputs: `rows` where row i hangs on row i of the inputs alone, `none` where it hangs on no input.
 */
interface Shape {
  dims?: number[]
  of: 'rows' | 'none' | 'all'
}

const KEEPS = new Set(
  'Relu LeakyRelu Elu Sigmoid Tanh Exp Log Sqrt Neg Abs Identity Dropout Clip BatchNormalization'.split(' ')
)
const JOINS = new Set(['Add', 'Sub', 'Mul', 'Div'])
const POOLS = new Set(['MaxPool', 'AveragePool', 'GlobalAveragePool'])

/**
 * The first operator that mixes the rows of a batch, as `Softmax → y`; undefined where every row of every output hangs on the
 * same row of the inputs alone, so that a batch can be cut anywhere. In doubt it mixes. Pure.
 * Throws SpecError where an operator meets a shape that this node's workers do not know.
 */
export function mixesRows(graph: Graph): string | undefined {
  const shapes = new Map<string, Shape>([
    ...Object.entries(graph.tensors).map(([name, { dims }]): [string, Shape] => [name, { dims, of: 'none' }]),
    ...graph.inputs.map(({ name, dims }): [string, Shape] => [
      name,
      { dims: [0, ...dims.slice(1)], of: 'rows' }
    ])
  ])
  const culprits = new Map<string, string>()
  for (const node of graph.nodes) {
    const inputs = node.inputs.filter(name => name !== '')
    const given = inputs.map((name): Shape => shapes.get(name) ?? { of: 'all' })
    const made: Shape = given.every(each => each.of === 'none')
      ? { of: 'none', dims: node.op === 'Constant' ? constantDims(node) : undefined }
      : shapeOf(graph, node, given)
    const name = node.outputs[0]!
    shapes.set(name, made)
    if (made.of !== 'all') continue
    culprits.set(
      name,
      inputs.map(each => culprits.get(each)).find(each => each != null) ?? `${node.op} → ${name}`
    )
  }
  const mixed = graph.outputs.find(name => shapes.get(name)?.of !== 'rows')
  return mixed == null
    ? undefined
    : (culprits.get(mixed) ?? `the output \`${mixed}\`, which has no row per input`)
}

function constantDims({ attributes }: GraphNode): number[] | undefined {
  return (attributes.value as { dims: number[] } | undefined)?.dims
}

function shapeOf(graph: Graph, node: GraphNode, given: Shape[]): Shape {
  const { op, attributes } = node
  const [x, y] = given as [Shape, Shape | undefined]
  const { dims } = x
  const isSole = x.of === 'rows' && given.slice(1).every(each => each.of === 'none')
  const mixed = (dims?: number[]): Shape => ({ of: 'all', dims })
  const rows = (dims: number[] | undefined, keeps = isSole): Shape =>
    keeps ? { of: 'rows', dims } : mixed(dims)
  if (KEEPS.has(op)) return rows(dims)
  if (JOINS.has(op)) return join(x, y!)
  if (POOLS.has(op) || op === 'Conv') {
    if (dims != null && dims.length !== 4)
      throw new SpecError(
        'model',
        `${op} → ${node.outputs[0]} gets ${dims.map(dim => dim || 'any').join(' × ')}; only images (4 dimensions) are available`
      )
    return rows(dims && [0, 0, 0, 0])
  }
  if (dims == null) return mixed()
  const axisOf = (axis: number, rank = dims.length): number => (axis < 0 ? axis + rank : axis)
  const axes = (): number[] | undefined => {
    const list = y == null ? (attributes.axes as number[] | undefined) : constant(graph, node.inputs[1]!)
    return list == null ? undefined : Array.from(list)
  }
  switch (op) {
    case 'MatMul': {
      const stacks = y!.dims == null || y!.dims.length > 2
      if (stacks)
        return rows(
          undefined,
          x.of === 'rows' && y!.of === 'rows' && dims.length > 2 && y!.dims?.length === dims.length
        )
      return rows([...dims.slice(0, -1), ...y!.dims!.slice(1)], isSole && dims.length > 1)
    }
    case 'Gemm': {
      const added = given[2]?.dims
      const isRow = given[2] == null || (added != null && (added.length < 2 || added[0] === 1))
      return rows([0, 0], isSole && !attributes.transA && isRow)
    }
    case 'Softmax':
    case 'LogSoftmax':
      return rows(dims, isSole && axisOf((attributes.axis as number) ?? (graph.opset < 13 ? 1 : -1)) !== 0)
    case 'Flatten':
      return rows([0, 0], isSole && axisOf((attributes.axis as number) ?? 1) === 1)
    case 'Transpose': {
      const order = (attributes.perm as number[] | undefined) ?? dims.map((_, i) => dims.length - 1 - i)
      return rows(
        order.map(axis => dims[axis]!),
        isSole && order[0] === 0
      )
    }
    case 'Reshape': {
      const wanted = constant(graph, node.inputs[1]!)
      if (wanted == null) return mixed()
      const shape = Array.from(wanted, (dim, i) => (dim === 0 && attributes.allowzero !== 1 ? dims[i]! : dim))
      // -1 stands for the rows where the rest says that a row keeps its size
      const size = (list: number[]): number => list.slice(1).reduce((product, dim) => product * dim, 1)
      const known = size(dims) > 0 && size(shape) === size(dims)
      return rows(
        shape.map(dim => Math.max(dim, 0)),
        isSole && (wanted[0] === 0 ? attributes.allowzero !== 1 : shape[0] === -1 && known)
      )
    }
    case 'Concat': {
      const axis = axisOf(attributes.axis as number)
      return rows(
        dims.map((dim, i) => (i === axis ? 0 : dim)),
        axis !== 0 && given.every(each => each.of === 'rows' && each.dims?.length === dims.length)
      )
    }
    case 'Squeeze': {
      const gone = axes()?.map(axis => axisOf(axis))
      return gone == null
        ? mixed()
        : rows(
            dims.filter((_, i) => !gone.includes(i)),
            isSole && !gone.includes(0)
          )
    }
    case 'Unsqueeze': {
      const list = axes()
      if (list == null) return mixed()
      const added = list.map(axis => axisOf(axis, dims.length + list.length)).sort((a, b) => a - b)
      const made = [...dims]
      for (const axis of added) made.splice(axis, 0, 1)
      return rows(made, isSole && !added.includes(0))
    }
    default:
      return mixed()
  }
}

/** numpy's broadcasting: rows meet rows, or what is the same for all rows. */
function join(x: Shape, y: Shape): Shape {
  if (x.dims == null || y.dims == null) return { of: 'all' }
  const rank = Math.max(x.dims.length, y.dims.length)
  const pad = (dims: number[]): number[] => [...new Array(rank - dims.length).fill(1), ...dims]
  const [left, right] = [pad(x.dims), pad(y.dims)]
  const dims = left.map((dim, i) => (dim === 1 ? right[i]! : dim))
  const fits = (shape: Shape, padded: number[]): boolean =>
    shape.of === 'rows' ? shape.dims!.length === rank : shape.of === 'none' && padded[0] === 1
  return { of: fits(x, left) && fits(y, right) ? 'rows' : 'all', dims }
}

function constant({ tensors, nodes }: Graph, name: string): ArrayLike<number> | undefined {
  const made = nodes.find(({ op, outputs }) => op === 'Constant' && outputs[0] === name)
  return (tensors[name] ?? (made?.attributes.value as Graph['tensors'][string] | undefined))?.data
}
