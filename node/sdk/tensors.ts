/** Arrays of the elements of models by their type; float16 is widened, a bool is 0 or 1. */
export interface ElementArrays {
  float32: Float32Array
  float64: Float64Array
  float16: Float32Array
  int8: Int8Array
  int16: Int16Array
  int32: Int32Array
  int64: BigInt64Array
  uint8: Uint8Array
  uint16: Uint16Array
  uint32: Uint32Array
  uint64: BigUint64Array
  bool: Uint8Array
  string: string[]
}
export type ElementType = keyof ElementArrays
export type Tensor = { [T in ElementType]: { type: T; dims: number[]; data: ElementArrays[T] } }[ElementType]
