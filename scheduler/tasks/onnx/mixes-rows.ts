import { type Graph, type GraphNode, sizeOf } from './read-model.ts'
import { constantOf, type Shape, shapeOfConstant, sizesOf } from './shape-sizes.ts'

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/))

// Below, attributes of arithmetic said to which dimension a smaller tensor belongs; above nobody has read what is new.
const [MIN_OPSET, MAX_OPSET] = [7, 26]
/** element by element, or within each row */
const KEEPS =
  words(`Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh
  DepthToSpace Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN LRN LeakyRelu Log Mish Neg
  Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign SpaceToDepth Sqrt Tan Tanh ThresholdedRelu`)
const JOINS =
  words(`Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul
  Or PRelu Pow Sub Sum Where Xor`)
/** what slides over images, whose first dimension is that of rows; also where there are others than two */
const SLIDES =
  words(`AveragePool Conv ConvInteger ConvTranspose GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool
  QLinearConv`)
const REDUCES =
  words(`ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
  ReduceSumSquare`)
/** along one axis: its name and what it is where none is said */
const ALONG = new Map([
  ['ArgMax', 0],
  ['ArgMin', 0],
  ['Hardmax', -1],
  ['LayerNormalization', -1],
  ['LogSoftmax', -1],
  ['LpNormalization', -1],
  ['RMSNormalization', -1],
  ['Softmax', -1],
  ['Split', 0],
  ['TopK', -1]
])
const DRAWS = /^(Bernoulli|Multinomial|Random\w+)$/

/**
 * The first operator that mixes the rows of a batch, as `Softmax → y`; undefined where every row of every output hangs on the
 * same row of the inputs alone, so that a batch can be cut anywhere. In doubt it mixes. Pure.
 */
export function mixesRows(graph: Graph): string | undefined {
  const { opset, inputs, outputs, tensors } = graph
  if (graph.hasFunctions) return 'it brings operators of its own'
  if (opset < MIN_OPSET || opset > MAX_OPSET) return `opset ${opset}; known are ${MIN_OPSET} to ${MAX_OPSET}`
  const unfit = inputs.find(
    ({ dims, names }) => !dims?.length || names.some((name, i) => i > 0 && isBatch(name))
  )
  if (unfit != null) return `the input \`${unfit.name}\`, which has no row of its own for each row`
  // exported for one row, it sees no other
  if (inputs.every(({ dims }) => dims![0] === 1) && outputs.every(({ dims }) => dims?.[0] === 1))
    return undefined
  function isBatch(name: string): boolean {
    return name !== '' && inputs.some(({ names }) => names[0] === name)
  }

  const shapes = new Map<string, Shape>()
  for (const [name, constant] of tensors) shapes.set(name, shapeOfConstant(constant))
  for (const { name, dims } of inputs) shapes.set(name, { dims, of: 'rows' })
  const culprits = new Map<string, string>()
  for (const node of graph.nodes) {
    const given = node.inputs.map((name): Shape | undefined =>
      name === '' ? undefined : (shapes.get(name) ?? { of: 'all' })
    )
    const made = shapeOf(node, given, opset)
    // further outputs of other operators are such as the index of a greatest element among those of all rows
    const several = node.op === 'Split' || node.op === 'TopK'
    for (const [i, name] of node.outputs.entries()) {
      const shape: Shape = i === 0 || several ? made : { of: 'all' }
      shapes.set(name, shape)
      if (shape.of !== 'all') continue
      const before = node.inputs.map(each => culprits.get(each)).find(each => each != null)
      culprits.set(name, before ?? `${node.op} → ${name}`)
    }
  }
  const mixed = outputs.find(({ name }) => shapes.get(name)?.of !== 'rows')
  return mixed && (culprits.get(mixed.name) ?? `the output \`${mixed.name}\`, which has no row per input`)
}

function shapeOf(node: GraphNode, given: (Shape | undefined)[], opset: number): Shape {
  const value = node.op === 'Constant' ? constantOf(node) : undefined
  if (value !== undefined) return shapeOfConstant(value)
  // a graph within may use any value of this one
  if (node.hasGraphs || DRAWS.test(node.op)) return { of: 'all' }
  const sizes = sizesOf(node, given)
  if (sizes !== undefined) return { ...sizes, of: sizes.sizes!.includes('rows') ? 'all' : 'none' }
  if (given.some(each => each !== undefined && each.of !== 'none')) return shapeOfRows(node, given, opset)
  // what would be so for rows is so for what is the same for all
  const [x, ...others] = given
  return { of: 'none', dims: shapeOfRows(node, [x && { ...x, of: 'rows' }, ...others], opset).dims }
}

function shapeOfRows(node: GraphNode, given: (Shape | undefined)[], opset: number): Shape {
  const { op, attributes } = node
  const there = given.filter(each => each !== undefined)
  const [x] = given
  const mixed: Shape = { of: 'all' }
  if (JOINS.has(op)) return join(there)
  if (x === undefined) return mixed
  const { dims } = x
  const isSole = x.of === 'rows' && given.slice(1).every(each => each === undefined || each.of === 'none')
  const rows = (made: number[] | undefined, keeps = isSole): Shape =>
    keeps ? { of: 'rows', dims: made } : mixed
  const int = (name: string, fallback: number): number =>
    (attributes.get(name) as number | undefined) ?? fallback
  const constant = (input: number): number[] | undefined => {
    const { sizes } = given[input] ?? {}
    return sizes?.every(size => typeof size === 'number') ? (sizes as number[]) : undefined
  }
  /** A shape that begins with the number of rows, or what else is asked of its first number; rows stand nowhere else in it. */
  const begins = (input: number, how: (first: number | 'rows' | undefined) => boolean): boolean => {
    const { sizes } = given[input] ?? {}
    return sizes !== undefined && how(sizes[0]) && !sizes.includes('rows', 1)
  }
  const filled = (input: number): number[] =>
    given[input]!.sizes!.slice(1).map(size => (typeof size === 'number' ? Math.max(size, 0) : 0))
  /** an attribute that became an input */
  const list = (name: string, input: number): number[] | undefined =>
    node.inputs[input] ? constant(input) : (attributes.get(name) as number[] | undefined)
  if (op === 'BatchNormalization' && (int('training_mode', 0) === 1 || node.outputs.length > 1)) return mixed
  if (op === 'Dropout') return rows(dims, isSole && given[2] === undefined)
  const resized = dims?.map((dim, i) => (i === 0 ? dim : 0))
  if (KEEPS.has(op)) return rows(op.includes('Space') ? resized : dims)
  if (SLIDES.has(op)) return rows(resized)
  if (op === 'MatMul' || op === 'MatMulInteger') return product(x, given[1]!, given.slice(2))
  if (dims === undefined) return mixed
  const rank = dims.length
  const axisOf = (axis: number, of = rank): number => (axis < 0 ? axis + of : axis)
  /** sizes along these axes are others, or unknown */
  const unknownAt = (...axes: number[]): number[] => dims.map((dim, i) => (axes.includes(i) ? 0 : dim))
  const dropped = (axes: number[], keep: boolean): number[] =>
    keep ? dims.map((dim, i) => (axes.includes(i) ? 1 : dim)) : dims.filter((_, i) => !axes.includes(i))
  const along = ALONG.get(op)
  if (along !== undefined) {
    const isOld = opset < 13 && /max$/.test(op)
    const axis = axisOf(int('axis', isOld ? 1 : along))
    if (axis === 0) return mixed
    if (op.startsWith('Arg')) return rows(dropped([axis], int('keepdims', 1) === 1))
    return rows(op === 'Split' || op === 'TopK' ? unknownAt(axis) : dims)
  }
  if (REDUCES.has(op)) {
    const axes = list('axes', 1)?.map(axis => axisOf(axis))
    if (!axes?.length || axes.includes(0)) return mixed
    return rows(dropped(axes, int('keepdims', 1) === 1))
  }
  switch (op) {
    case 'Gemm': {
      const added = given[2]?.dims
      const isRow = given[2] === undefined || (added !== undefined && (added.length < 2 || added[0] === 1))
      return rows([dims[0]!, 0], isSole && int('transA', 0) === 0 && isRow)
    }
    case 'QuantizeLinear':
    case 'DequantizeLinear': {
      const scale = given[1]?.dims
      const isWhole = scale !== undefined && sizeOf(scale) === 1
      return rows(dims, isSole && (isWhole || (scale?.length === 1 && axisOf(int('axis', 1)) !== 0)))
    }
    case 'CumSum': {
      const axis = constant(1)?.[0]
      return rows(dims, isSole && axis !== undefined && axisOf(axis) !== 0)
    }
    case 'Flatten':
      return rows([dims[0]!, 0], isSole && axisOf(int('axis', 1)) === 1)
    case 'Transpose': {
      const order = (attributes.get('perm') as number[] | undefined) ?? dims.map((_, i) => rank - 1 - i)
      return rows(
        order.map(axis => dims[axis] ?? 0),
        isSole && order[0] === 0
      )
    }
    case 'Reshape': {
      const copies = int('allowzero', 0) === 0
      const sizes = given[1]?.sizes?.map((size, i) => (size === 0 && copies ? dims[i] || undefined : size))
      const isSame = begins(
        1,
        first =>
          first === 'rows' ||
          (first === 0 && copies) ||
          (typeof first === 'number' && first > 0 && first === dims[0])
      )
      // -1 stands for the rows where the rest says that a row keeps its size
      const row = sizeOf(dims.slice(1))
      const rest = sizes?.slice(1).map(size => (typeof size === 'number' ? size : 0)) ?? []
      const isRest = begins(1, first => first === -1) && row > 0 && sizeOf(rest) === row
      return rows([dims[0]!, ...rest.map(dim => Math.max(dim, 0))], x.of === 'rows' && (isSame || isRest))
    }
    case 'Concat': {
      const axis = axisOf(int('axis', 0))
      return rows(
        unknownAt(axis),
        axis !== 0 && there.every(each => each.of === 'rows' && each.dims?.length === rank)
      )
    }
    case 'Squeeze': {
      const gone = list('axes', 1)?.map(axis => axisOf(axis))
      return gone?.length ? rows(dropped(gone, false), isSole && !gone.includes(0)) : mixed
    }
    case 'Unsqueeze': {
      const axes = list('axes', 1)
      if (axes === undefined) return mixed
      const added = axes.map(axis => axisOf(axis, rank + axes.length)).sort((a, b) => a - b)
      const made = [...dims]
      for (const axis of added) made.splice(axis, 0, 1)
      return rows(made, isSole && !added.includes(0))
    }
    case 'Slice': {
      const axes = list('axes', 3)?.map(axis => axisOf(axis))
      return axes?.length ? rows(unknownAt(...axes), isSole && !axes.includes(0)) : mixed
    }
    case 'Pad': {
      const pads = list('pads', 1)
      const isWithin = pads?.length === 2 * rank && pads[0] === 0 && pads[rank] === 0 && !node.inputs[3]
      return rows([dims[0]!, ...dims.slice(1).fill(0)], isSole && isWithin)
    }
    case 'Tile':
      return rows([dims[0]!, ...dims.slice(1).fill(0)], isSole && constant(1)?.[0] === 1)
    case 'Expand': {
      const to = given[1]?.sizes?.length
      const spreads = x.of === 'none' && (to! > rank || dims[0] === 1) && begins(1, first => first === 'rows')
      const keeps = x.of === 'rows' && to === rank && begins(1, first => first === 'rows' || first === 1)
      return spreads || keeps ? rows([keeps ? dims[0]! : 0, ...filled(1).fill(0)], true) : mixed
    }
    case 'ConstantOfShape':
      return begins(0, first => first === 'rows') ? rows([0, ...filled(0)], true) : mixed
    case 'Resize':
    case 'Upsample': {
      const isCrop = attributes.get('coordinate_transformation_mode') === 'tf_crop_and_resize'
      const last = given.length - 1
      const isScale = last < 3
      const keeps = begins(
        last,
        first => first === (isScale ? 1 : 'rows') || (!isScale && first === dims[0] && dims[0]! > 0)
      )
      const others = given.slice(1, isScale ? undefined : -1)
      const areSame = others.every(each => each === undefined || each.of === 'none')
      return rows(resized, x.of === 'rows' && keeps && areSame && !isCrop && !attributes.has('axes'))
    }
    case 'Gather': {
      const indices = given[1]!
      const axis = axisOf(int('axis', 0))
      if (indices.dims === undefined) return mixed
      const made = [...dims.slice(0, axis), ...indices.dims, ...dims.slice(axis + 1)]
      // rows of a table, or columns of the rows
      return rows(made, x.of === 'none' ? axis === 0 && indices.of === 'rows' : isSole && axis !== 0)
    }
    case 'Trilu':
      return rows(dims, isSole && rank > 2)
    default:
      return mixed
  }
}

/** Matrices times matrices, in stacks where there are more than two dimensions. */
function product(x: Shape, y: Shape, others: (Shape | undefined)[]): Shape {
  const mixed: Shape = { of: 'all' }
  if (
    x.dims === undefined ||
    y.dims === undefined ||
    others.some(each => each !== undefined && each.of !== 'none')
  )
    return mixed
  const [left, right] = [x.dims, y.dims]
  // the dimension of the rows is neither multiplied away nor, on the right, that of columns
  const isLeft = x.of === 'rows' && left.length > 1
  const isRight = y.of === 'rows' && right.length > 2
  const stands =
    (isLeft &&
      y.of === 'none' &&
      (right.length < 3 || right.length < left.length || (right.length === left.length && right[0] === 1))) ||
    (isRight &&
      x.of === 'none' &&
      (left.length < right.length || (left.length === right.length && left[0] === 1))) ||
    (isLeft && isRight && left.length === right.length)
  if (!stands) return mixed
  const rank = Math.max(left.length, right.length)
  const rows = (isLeft ? left : right)[0]!
  return { of: 'rows', dims: [rows, ...new Array(rank - (right.length === 1 ? 2 : 1)).fill(0)] }
}

/** numpy's broadcasting: rows meet rows, or what is the same for all rows. */
function join(shapes: Shape[]): Shape {
  if (shapes.some(({ dims }) => dims === undefined)) return { of: 'all' }
  const rank = Math.max(...shapes.map(({ dims }) => dims!.length))
  const padded = shapes.map(({ dims }) => [...new Array<number>(rank - dims!.length).fill(1), ...dims!])
  const dims = padded[0]!.map((_, i) => padded.map(each => each[i]!).find(dim => dim !== 1) ?? 1)
  const fits = shapes.every(({ of, dims }, i) =>
    of === 'rows' ? dims!.length === rank : of === 'none' && padded[i]![0] === 1
  )
  return { of: fits ? 'rows' : 'all', dims }
}
