import { sizeOf } from './read-model.ts'

type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
export type Elements = Numbers | string[]

/** A tensor as it travels: floats of 16 bits as float32, booleans as 0 and 1. */
export interface Tensor {
  type: ElementType
  dims: number[]
  data: Elements
}

/** As a spec has it: its model says the type. */
export interface GivenTensor {
  dims: number[]
  data: Elements | Uint8ClampedArray | readonly (number | bigint | boolean | string)[]
  type?: ElementType
}

interface Elemental {
  /** TensorProto.DataType */
  code: number
  Data?: { new (length: number): Numbers; from(list: Iterable<never>): Numbers }
  /** least and most of integers */
  range?: [bigint, bigint]
}
const whole = (bits: bigint, signed: boolean): [bigint, bigint] =>
  signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n]

// named as onnxruntime-web does
const TYPES = {
  float32: { code: 1, Data: Float32Array },
  uint8: { code: 2, Data: Uint8Array, range: whole(8n, false) },
  int8: { code: 3, Data: Int8Array, range: whole(8n, true) },
  uint16: { code: 4, Data: Uint16Array, range: whole(16n, false) },
  int16: { code: 5, Data: Int16Array, range: whole(16n, true) },
  int32: { code: 6, Data: Int32Array, range: whole(32n, true) },
  int64: { code: 7, Data: BigInt64Array, range: whole(64n, true) },
  string: { code: 8 },
  bool: { code: 9, Data: Uint8Array, range: [0n, 1n] },
  float16: { code: 10, Data: Float32Array },
  float64: { code: 11, Data: Float64Array },
  uint32: { code: 12, Data: Uint32Array, range: whole(32n, false) },
  uint64: { code: 13, Data: BigUint64Array, range: whole(64n, false) }
} satisfies Record<string, Elemental>
export type ElementType = keyof typeof TYPES
export const ELEMENT_TYPES = Object.keys(TYPES) as ElementType[]

/** by TensorProto.DataType; undefined for those that are not available */
export const typeOf = (code: number): ElementType | undefined =>
  ELEMENT_TYPES.find(type => TYPES[type].code === code)

/** Whether `toType` looks at each element also where a list is of that type: a bool may be any byte. */
export const isSeenByElement = (type?: ElementType): boolean => type === 'string' || type === 'bool'

/** The same tensor with elements of that type. Throws RangeError for one that is none. */
export function toType({ dims, data }: Pick<GivenTensor, 'dims' | 'data'>, type: ElementType): Tensor {
  const { Data, range }: Elemental = TYPES[type]
  if (Data === undefined) {
    const other = (data as unknown[]).find(each => typeof each !== 'string')
    if (other !== undefined) throw new RangeError(`${other} is no string`)
    return { type, dims, data: [...(data as string[])] }
  }
  if (data instanceof Data && !isSeenByElement(type)) return { type, dims, data }
  const isBig = range !== undefined && range[1] > 0xffff_ffffn
  const read = (each: unknown): number | bigint => {
    const number = typeof each === 'boolean' ? Number(each) : each
    if (typeof number !== 'number' && typeof number !== 'bigint') throw new RangeError(`${each} is no number`)
    if (range === undefined) return Number(number)
    if (typeof number === 'number' && !Number.isSafeInteger(number))
      throw new RangeError(`${each} is no whole number`)
    if (number < range[0] || number > range[1]) throw new RangeError(`${each} is no ${type}`)
    return isBig ? BigInt(number) : Number(number)
  }
  return { type, dims, data: Data.from(Array.from(data as Iterable<unknown>, read) as never[]) }
}

/** Elements of which nothing is said but how many they are. */
export function emptyElements(type: ElementType, size: number): Elements {
  const { Data }: Elemental = TYPES[type]
  return Data === undefined ? new Array<string>(size).fill('') : new Data(size)
}

/** What a worker answers. Throws RangeError for what is no tensor. */
export function expectTensor(value: unknown): asserts value is Tensor {
  const { type, dims, data } = Object(value) as Partial<Tensor>
  const elemental: Elemental | undefined = TYPES[type as ElementType]
  const isOfType =
    elemental !== undefined &&
    (elemental.Data === undefined
      ? Array.isArray(data) && data.every(each => typeof each === 'string')
      : data instanceof elemental.Data)
  const isShape = Array.isArray(dims) && dims.every(dim => Number.isSafeInteger(dim) && dim >= 0)
  if (!isOfType || !isShape || data!.length !== sizeOf(dims)) throw new RangeError('it is no tensor')
}

/** Rows [from, to). */
export function cutRows({ type, dims, data }: Tensor, from: number, to: number): Tensor {
  const row = data.length / dims[0]!
  return { type, dims: [to - from, ...dims.slice(1)], data: data.slice(from * row, to * row) as Elements }
}

/** The rows of all parts, one after the other; undefined where they do not go together. */
export function joinRows(parts: readonly Tensor[]): Tensor | undefined {
  const [{ type, dims }] = parts as [Tensor]
  const fits = parts.every(
    each =>
      each.type === type &&
      each.dims.length === dims.length &&
      each.dims.every((dim, i) => i === 0 || dim === dims[i])
  )
  if (dims.length === 0 || !fits) return undefined
  const made = [parts.reduce((sum, each) => sum + each.dims[0]!, 0), ...dims.slice(1)]
  const { Data }: Elemental = TYPES[type]
  if (Data === undefined) return { type, dims: made, data: parts.flatMap(({ data }) => data as string[]) }
  const data = new Data(sizeOf(made))
  let at = 0
  for (const part of parts) {
    data.set(part.data as never, at)
    at += part.data.length
  }
  return { type, dims: made, data }
}
