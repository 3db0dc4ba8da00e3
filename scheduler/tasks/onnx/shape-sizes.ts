import type { Constant, GraphNode } from './read-model.ts'

// TensorProto.DataType of what holds the numbers of shapes: float, int32, int64, double
const WIDE = [1, 6, 7, 11]

/**
 * What is known of a value before the model runs: `dims` (0: any size; absent: not even how many), and how its rows stand
 * to those of the inputs: `rows` where row i hangs on row i of the inputs alone, `none` where it is the same for all rows.
 */
export interface Shape {
  dims?: number[]
  of: 'rows' | 'none' | 'all'
  /** of a list or a scalar that may be a shape: 'rows' is how many there are, undefined any number that does not hang on them */
  sizes?: (number | 'rows' | undefined)[]
}

/** undefined where it is not numbers that may be shapes */
export function constantOf({ attributes }: GraphNode): Constant | undefined {
  const value = attributes.get('value')
  if (typeof value === 'object' && 'dims' in value) return value
  const int = attributes.get('value_int')
  const ints = attributes.get('value_ints')
  if (typeof int === 'number') return { dims: [], data: [int] }
  return Array.isArray(ints) ? { dims: [ints.length], data: ints } : undefined
}

export function shapeOfConstant({ dims, data }: Constant): Shape {
  return { of: 'none', dims, sizes: dims.length < 2 ? data : undefined }
}

/** Of what is calculated of shapes, as exporters do it. */
export function sizesOf(
  { op, attributes, inputs }: GraphNode,
  given: (Shape | undefined)[]
): Pick<Shape, 'dims' | 'sizes'> | undefined {
  const [x, y] = given
  const list = (sizes: Shape['sizes']): Pick<Shape, 'dims' | 'sizes'> => ({ dims: [sizes!.length], sizes })
  const numbers = (shape: Shape | undefined): number[] | undefined =>
    shape?.sizes?.every(size => typeof size === 'number') ? (shape.sizes as number[]) : undefined
  const int = (name: string): number | undefined => attributes.get(name) as number | undefined
  if (op === 'Shape' && x?.dims !== undefined && x.of !== 'all') {
    const sizes = x.dims.map((dim, i) => (i === 0 && x.of === 'rows' ? 'rows' : dim || undefined))
    return list(sizes.slice(int('start') ?? 0, int('end')))
  }
  if (op === 'Concat') {
    const parts = given.map(each => each?.sizes ?? (each?.of === 'none' ? unknownList(each) : undefined))
    const fits = given.every(each => each?.dims?.length === 1) && parts.every(part => part !== undefined)
    return fits ? list(parts.flatMap(part => part!)) : undefined
  }
  if (x?.sizes === undefined) return undefined
  switch (op) {
    case 'Identity':
      return x
    case 'Cast':
      return WIDE.includes(int('to') ?? 0) &&
        x.sizes.every(size => typeof size !== 'number' || Number.isInteger(size))
        ? x
        : undefined
    case 'Unsqueeze':
      return x.dims?.length === 0 ? { ...x, dims: [1] } : undefined
    case 'Squeeze':
      return x.sizes.length === 1 ? { ...x, dims: [] } : undefined
    case 'Gather': {
      const at = numbers(y)
      const fits =
        x.dims?.length === 1 && (y!.dims?.length ?? 2) < 2 && at?.every(i => Math.abs(i) <= x.sizes!.length)
      return fits ? { dims: y!.dims, sizes: at!.map(i => x.sizes!.at(i)) } : undefined
    }
    case 'Slice': {
      const read = (name: string, input: number, otherwise?: number): number | undefined => {
        const values = inputs[input] ? numbers(given[input]) : (attributes.get(name) as number[] | undefined)
        return values === undefined && !inputs[input] ? otherwise : values?.[0]
      }
      const [start, end] = [read('starts', 1), read('ends', 2)]
      const isPlain = read('axes', 3, 0) === 0 && read('steps', 4, 1) === 1
      return x.dims?.length === 1 && isPlain && start !== undefined && end !== undefined
        ? list(x.sizes.slice(start, end))
        : undefined
    }
    default:
      return undefined
  }
}

const unknownList = ({ dims }: Shape): undefined[] | undefined =>
  dims?.length === 1 && dims[0]! > 0 && dims[0]! < 64 ? new Array(dims[0]).fill(undefined) : undefined
