import { SpecError } from '../../errors.ts'
import { mixesRows } from './mixes-rows.ts'
import type { Inference } from './read-model.ts'
import { type Graph, readModel } from './read-model.ts'
import { OPERATORS, type Tensor } from './run-graph.ts'

// Model and envelope must fit into one message.
const MAX_MODEL_BYTES = 48 * 1024 * 1024
const [MIN_OPSET, MAX_OPSET] = [7, 23]
// by TensorProto.DataType
const TYPE_NAMES = 'undefined float uint8 int8 uint16 int16 int32 int64 string bool float16 double'.split(' ')

/** Throws SpecError where this node's workers could not run the model on these inputs. */
export function checkModel({ model, input, batchSize }: Inference): void {
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
    if (op === 'Constant' && attributes.value == null)
      throw new SpecError('model', 'Constant holds no tensor of numbers')
    const strange =
      (attributes.auto_pad ?? 'NOTSET') !== 'NOTSET'
        ? 'auto_pad'
        : attributes.ceil_mode
          ? 'ceil_mode'
          : attributes.training_mode
            ? 'training_mode'
            : op === 'MaxPool' && (attributes.dilations as number[] | undefined)?.some(each => each !== 1)
              ? 'dilations'
              : undefined
    if (strange != null)
      throw new SpecError('model', `${op} has \`${strange}\`, which is not available; export it without`)
  }
  for (const { name, type, dims } of graph.inputs) {
    if (!['float', 'undefined'].includes(typeName(type)))
      throw new SpecError(
        'model',
        `its input \`${name}\` is of type ${typeName(type)}; only float is available`
      )
    if (dims.length === 0) throw new SpecError('model', `its input \`${name}\` has no dimensions, so no rows`)
  }
  const culprit = mixesRows(graph)
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
    if (batchSize != null && batchSize < rows && dims[0] === 0 && culprit != null)
      throw new SpecError(
        'batchSize',
        `${batchSize} would cut ${rows} rows, but the model mixes them: ${culprit}; leave it out`
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

const typeName = (type: number): string => TYPE_NAMES[type] ?? String(type)

const names = (graph: Graph): string => graph.inputs.map(({ name }) => `\`${name}\``).join(', ')

/** Inputs by name; a single tensor is the model's first input. */
export function inputsOf(graph: Graph, input: Inference['input']): Record<string, Tensor> {
  return Array.isArray(input.dims)
    ? { [graph.inputs[0]?.name ?? '']: input as Tensor }
    : (input as Record<string, Tensor>)
}
