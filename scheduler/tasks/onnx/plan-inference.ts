import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { ProtocolError, StepFailedError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import { bytesOf, checkModel, type Inference, sizesOf } from './check-model.ts'
import { cutRows, expectTensor, joinRows, type Tensor } from './tensors.ts'

type Tensors = Record<string, Tensor>

/** A unit is a batch of rows, or everything where the model mixes them; the model travels once per worker. */
export function planInference(spec: Inference): Plan {
  const { inputs, outputs, rows, batchSize } = checkModel(spec)
  const units = rows === undefined ? 1 : Math.ceil(rows / batchSize)
  const batch = (unit: number): Tensors => {
    if (rows === undefined) return inputs
    const from = unit * batchSize
    return mapValues(inputs, tensor => cutRows(tensor, from, Math.min(rows, from + batchSize)))
  }
  const input = (first: number, count: number) => ({
    batches: Array.from({ length: count }, (_, i) => batch(first + i))
  })
  return {
    units,
    unitBytes: bytesOf(inputs) / units,
    program: programOf(spec),
    input,
    whole: { ...input(0, units), joined: true },
    cut: (answer, first, count) =>
      encodeValue((decodeValue(answer) as unknown[]).slice(first, first + count)),
    createReducer() {
      const batches = new Array<Tensors>(units)
      return {
        add(first, count, value) {
          readBatches(value, count, outputs).forEach((batch, i) => {
            batches[first + i] = batch
          })
        },
        async finish() {
          return encodeValue(units === 1 ? batches[0]! : joinBatches(batches, outputs))
        }
      }
    }
  }
}

/** No work, but it fails where the runtime has no such operator, or no such shape for it, where that is known. */
export function probeInference(spec: Inference, isWhole: boolean): unknown {
  const { inputs, rows, batchSize } = checkModel(spec)
  return {
    batches: [],
    sizes: isWhole
      ? sizesOf(spec.model, inputs, rows === undefined ? undefined : Math.min(rows, batchSize))
      : {}
  }
}

function programOf({ model, externalData }: Inference): Plan['program'] {
  return { kind: 'onnx', source: model, context: externalData && encodeValue(externalData) }
}

function readBatches(value: Uint8Array, count: number, outputs: string[]): Tensors[] {
  const list = decodeValue(value)
  if (!Array.isArray(list) || list.length !== count)
    throw new ProtocolError(`a result is no list of ${count} batches`)
  for (const batch of list) {
    for (const name of outputs) {
      try {
        expectTensor(Object(batch)[name])
      } catch (err) {
        throw new ProtocolError(`the output ${name} of a result: ${(err as Error).message}`)
      }
    }
  }
  return list
}

/** All outputs have a row per input, as mixesRows said; so what does not go together is no mistake of a worker's. */
function joinBatches(batches: Tensors[], outputs: string[]): Tensors {
  return Object.fromEntries(
    outputs.map(name => {
      const joined = joinRows(batches.map(batch => batch[name]!))
      if (joined === undefined)
        throw new StepFailedError({
          name: 'invalid-result',
          message: `the output ${name} has another shape in each batch; give a batchSize of all rows`
        })
      return [name, joined]
    })
  )
}

const mapValues = <V, R>(object: Record<string, V>, fn: (value: V) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, fn(value)]))
