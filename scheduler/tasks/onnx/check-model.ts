import { onnxClass } from '../../../sandbox/index.ts'
import { SpecError } from '../../errors.ts'
import { mixesRows } from './mixes-rows.ts'
import { type Graph, readModel, sizeOf, type Value } from './read-model.ts'
import {
  type ElementType,
  emptyElements,
  type GivenTensor,
  isSeenByElement,
  type Tensor,
  toType,
  typeOf
} from './tensors.ts'

// Model, external data and envelope must fit into one message.
const MAX_MODEL_BYTES = 48 * 1024 * 1024
// Rows at once where nobody says how many: enough that a product of matrices is worth its fixed cost, and not more than a
// network for images can hold of what lies between its layers.
const MAX_ROWS = 32
const BATCH_BYTES = 4 * 1024 * 1024

/** A model, and what to run it on. */
export interface Inference {
  model: Uint8Array
  /** what the model keeps outside, by the places that it names */
  externalData?: Record<string, Uint8Array>
  /** a tensor, or one per input of the model by name */
  input: GivenTensor | Record<string, GivenTensor>
  /** rows of the first dimension that the model sees at once */
  batchSize?: number
}

/** How inputs go into a model. */
export interface Feeding {
  inputs: Record<string, Tensor>
  outputs: string[]
  /** of the first dimension of all inputs; undefined where they are not cut */
  rows?: number
  batchSize: number
}

/** Inputs with elements of the types that the model takes. Throws SpecError for what does not fit it. */
export function checkModel({ model, externalData = {}, input, batchSize }: Inference): Feeding {
  if (onnxClass() === undefined)
    throw new SpecError(
      'type',
      'ml_inference needs onnxruntime-web, which this checkout has not; npm install without --omit=dev'
    )
  const bytes = Object.values(externalData).reduce((sum, each) => sum + each.length, model.length)
  if (bytes > MAX_MODEL_BYTES)
    throw new SpecError('model', `has ${bytes} bytes with its external data, at most ${MAX_MODEL_BYTES}`)
  const graph = readModel(model)
  const missing = [...graph.locations].find(place => externalData[place] === undefined)
  if (missing !== undefined)
    throw new SpecError(
      'externalData',
      `\`${missing}\` is missing, where the model keeps some of its weights`
    )
  const inputs = inputsOf(graph, input)
  const outputs = graph.outputs.map(({ name }) => name)
  const fixed = new Set(graph.inputs.flatMap(({ dims }) => dims?.[0] || []))
  const [rows, ...others] = new Set(Object.values(inputs).map(({ dims }) => dims[0]))
  const culprit =
    fixed.size > 1 || others.length > 0 || !rows
      ? 'not all inputs have the same number of rows'
      : mixesRows(graph)
  if (culprit === undefined) {
    const [size] = fixed
    if (size !== undefined && (rows! % size !== 0 || (batchSize ?? size) !== size))
      throw new SpecError(
        'batchSize',
        `must be ${size}, and the rows a multiple of it: the model was exported for batches of that size`
      )
    const fits = Math.max(1, Math.min(MAX_ROWS, Math.floor((BATCH_BYTES * rows!) / bytesOf(inputs))))
    return { inputs, outputs, rows, batchSize: size ?? batchSize ?? fits }
  }
  for (const { name, dims } of graph.inputs)
    if (dims?.[0] && dims[0] !== inputs[name]!.dims[0])
      throw new SpecError(
        `input.${name}`,
        `has ${inputs[name]!.dims[0]} rows; the model takes ${dims[0]}, and they cannot be cut: ${culprit}`
      )
  if (batchSize !== undefined && batchSize < (rows ?? 0))
    throw new SpecError(
      'batchSize',
      `${batchSize} would cut ${rows} rows, but the model mixes them: ${culprit}; leave it out`
    )
  return { inputs, outputs, batchSize: rows ?? 1 }
}

// of what stands for the inputs of a model that are not there yet: a few images; of what is looked at element by element less,
// for a pipeline has a thousand models, and who asks for its price pays nothing
const MAX_EMPTY = 1_000_000
const MAX_EMPTY_SEEN = 1_000

/**
 * Inputs of zeros that fit a model, of a row where it takes any number of them: together as `input`, each as `input.NAME`.
 * undefined where that says nothing of the task, or would take much memory. Throws SpecError for what is no model.
 */
export function emptyInputs(model: Uint8Array | undefined): Record<string, unknown> | undefined {
  if (model === undefined) return undefined
  const inputs = readModel(model).inputs.map(({ dims = [1], ...rest }) => {
    const sizes = dims.map(size => Math.max(size, 1))
    return { ...rest, sizes, count: sizeOf(sizes) }
  })
  const weight = ({ type, count }: (typeof inputs)[number]): number =>
    isSeenByElement(typeOf(type ?? 0)) ? (count * MAX_EMPTY) / MAX_EMPTY_SEEN : count
  const isMuch = inputs.reduce((sum, input) => sum + weight(input), 0) > MAX_EMPTY
  if (isMuch || inputs.some(({ type }) => type === 0)) return undefined
  const given = inputs.map(({ name, type, sizes, count }): [string, GivenTensor] => [
    name,
    { dims: sizes, data: emptyElements(typeOf(type ?? 0) ?? 'float32', count) }
  ])
  return {
    input: given.length === 1 ? given[0]![1] : Object.fromEntries(given),
    ...Object.fromEntries(given.map(([name, tensor]) => [`input.${name}`, tensor]))
  }
}

/** What the dimensions that a model names are for these inputs, in batches of so many rows. */
export function sizesOf(
  model: Uint8Array,
  inputs: Record<string, Tensor>,
  rows?: number
): Record<string, number> {
  return Object.fromEntries(
    readModel(model).inputs.flatMap(({ name, names }) =>
      names.flatMap((dim, i) =>
        dim === '' ? [] : [[dim, i === 0 && rows !== undefined ? rows : inputs[name]!.dims[i]!]]
      )
    )
  )
}

/** Inputs by name; a single tensor is the model's only one. */
function inputsOf(graph: Graph, input: Inference['input']): Record<string, Tensor> {
  const names = graph.inputs.map(({ name }) => `\`${name}\``).join(', ')
  const isOne = Array.isArray(input.dims)
  const given = (isOne ? { [graph.inputs[0]?.name ?? '']: input } : input) as Record<string, GivenTensor>
  const extra = Object.keys(given).find(name => !graph.inputs.some(each => each.name === name))
  if (extra !== undefined)
    throw new SpecError('input', `\`${extra}\` is not an input of the model; it takes ${names || 'none'}`)
  const sizes = new Map<string, number>()
  return Object.fromEntries(
    graph.inputs.map(value => {
      const { name } = value
      if (!Object.hasOwn(given, name))
        throw new SpecError('input', `\`${name}\` is missing; the model takes ${names}`)
      const field = isOne ? 'input' : `input.${name}`
      expectShape(field, value, given[name]!, sizes)
      return [name, readTensor(field, value, given[name]!)]
    })
  )
}

/** But for the number of rows, which may be that of several batches. */
function expectShape(
  field: string,
  { dims, names }: Value,
  given: GivenTensor,
  sizes: Map<string, number>
): void {
  const fits =
    dims === undefined ||
    (dims.length === given.dims.length &&
      dims.every((dim, i) => i === 0 || dim === 0 || dim === given.dims[i]))
  if (!fits)
    throw new SpecError(
      field,
      `is ${shown(given.dims)}, the model takes ${shown(dims.map((dim, i) => dim || names[i] || 'any'))}`
    )
  for (const [i, name] of names.entries()) {
    const size = given.dims[i]!
    const known = sizes.get(name)
    if (name !== '' && known !== undefined && known !== size)
      throw new SpecError(field, `has ${size} for \`${name}\`, which is ${known} elsewhere`)
    sizes.set(name, size)
  }
}

const shown = (dims: readonly (number | string)[]): string => dims.join(' × ') || 'a scalar'

function readTensor(field: string, { type: code }: Value, given: GivenTensor): Tensor {
  const type = code === 0 ? given.type : typeOf(code ?? 0)
  if (type === undefined)
    throw new SpecError(
      field,
      code === 0
        ? 'needs its `type`, which the model does not say'
        : `is ${code === undefined ? 'no tensor' : `of type ${code} of ONNX`} in the model, which is not available; cast it there`
    )
  if (given.type !== undefined && given.type !== type)
    throw new SpecError(field, `is of type ${given.type}, the model takes ${type}`)
  try {
    return toType(given, type as ElementType)
  } catch (err) {
    throw new SpecError(`${field}.data`, `${(err as Error).message}; the model takes ${type}`)
  }
}

/** of the elements of all tensors, about */
export const bytesOf = (tensors: Record<string, Tensor>): number =>
  Object.values(tensors).reduce(
    (sum, { data }) =>
      sum + (Array.isArray(data) ? data.reduce((all, text) => all + text.length, 1) : data.byteLength),
    0
  )
