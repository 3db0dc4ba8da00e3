import { decodeValue, encodeValue, type Sandbox } from '../../../../sandbox/index.ts'
import { readModel } from '../../../../scheduler/index.ts'
import type { Jobs } from '../../../host/index.ts'
import { badModel } from '../../errors.ts'
import { runJob } from '../run-job.ts'

interface Tensor {
  type: string
  dims: number[]
  data: BigInt64Array | Float32Array
}
type Tensors = Record<string, Tensor>

/** Where a decoder runs. */
export interface Place {
  /** all outputs of the model */
  run(inputs: Tensors): Promise<Tensors>
  close(): Promise<void>
}

/** Of a decoder: what it takes, and what of its answer it takes again. */
export interface Shape {
  /** input_ids, and of attention_mask and position_ids what it has */
  inputs: readonly string[]
  /** name of the input and of the output that is it the next time, and its sizes before anything was said */
  past: readonly { from: string; to: string; type: string; dims: number[] }[]
}

const FLOAT = 1
const FLOAT16 = 10
const KNOWN = ['input_ids', 'attention_mask', 'position_ids']
const LIMITS = { timeoutMs: 120_000, memoryMb: 2048, outputBytes: 256 * 1024 * 1024 }
const MAX_ITEMS = 1_000

/**
 * What a decoder takes, by the names that Hugging Face's Optimum gives (text-generation, with or without past). Pure.
 *
 * @throws {AssistantError}
 */
export function shapeOf(model: Uint8Array): Shape {
  const { inputs, outputs } = readModel(model)
  const names = inputs.map(({ name }) => name)
  if (!names.includes('input_ids') || !outputs.some(({ name }) => name === 'logits'))
    throw badModel('it has no input "input_ids", or no output "logits"')
  const past = inputs
    .filter(({ name }) => !KNOWN.includes(name))
    .map(({ name, type, dims }) => {
      const from = name.replace(/^past_key_values\./, 'present.')
      const open = dims?.flatMap((size, i) => (size === 0 ? [i] : [])) ?? []
      if (
        from === name ||
        !outputs.some(output => output.name === from) ||
        (type !== FLOAT && type !== FLOAT16) ||
        open.length !== 2 ||
        open[0] !== 0
      )
        throw badModel(
          `its input "${name}" is none of ${KNOWN.join(', ')}, and no past_key_values.* with floats of [batch, heads, past, size] that has a present.*`
        )
      // one text, of which nothing was said yet
      return {
        from,
        to: name,
        type: type === FLOAT ? 'float32' : 'float16',
        dims: dims!.map((size, i) => (i === 0 ? 1 : size))
      }
    })
  return { inputs: names.filter(name => KNOWN.includes(name)), past }
}

/**
 * A process of its own behind the walls of this node.
 *
 * @throws {WallMissingError}
 */
export async function openHere(
  sandbox: Pick<Sandbox, 'open'>,
  model: Uint8Array,
  signal: AbortSignal
): Promise<Place> {
  const session = await sandbox.open(
    { kind: 'onnx', source: model },
    { limits: LIMITS, requester: 'assistant', signal }
  )
  return {
    async run(inputs) {
      const [outcome] = await session.run([encodeValue({ batches: [inputs] })], { signal })
      signal.throwIfAborted()
      if (!outcome!.ok) throw badModel(outcome!.failure.message)
      const [outputs] = decodeValue(outcome!.value, { maxItems: MAX_ITEMS }) as [Tensors]
      return outputs
    },
    close: () => session.close()
  }
}

/** Workers of the network: each token is a job of the owner's, to which the weights come from the block store. */
export const atWorkers = (jobs: Jobs | undefined, cid: string, signal: AbortSignal): Place => ({
  run: async input =>
    (await runJob(jobs, { type: 'ml_inference', model: { cid }, input }, signal)) as Tensors,
  close: async () => {}
})

/** One text that grows. */
export function startText({ run, close }: Place, shape: Shape) {
  let ids: number[] = []
  let past: Tensors = Object.fromEntries(
    shape.past.map(({ to, type, dims }) => [to, { type, dims, data: new Float32Array(0) }])
  )

  return {
    /**
     * The logits of what comes after all tokens so far and these.
     *
     * @throws {AssistantError} {ProviderError}
     */
    async next(more: readonly number[]): Promise<Float32Array> {
      const before = shape.past.length > 0 ? ids.length : 0
      ids = [...ids, ...more]
      const now = ids.slice(before)
      const row = (values: readonly number[]): Tensor => ({
        type: 'int64',
        dims: [1, values.length],
        data: BigInt64Array.from(values, BigInt)
      })
      const feeds: Tensors = {
        input_ids: row(now),
        attention_mask: row(ids.map(() => 1)),
        position_ids: row(now.map((_, i) => before + i))
      }
      const given = Object.fromEntries(shape.inputs.map(name => [name, feeds[name]!]))
      const answer = await run({ ...given, ...past })
      past = Object.fromEntries(shape.past.map(({ from, to }) => [to, answer[from]!]))
      const { dims, data } = answer.logits!
      const size = dims.at(-1)!
      if (dims.length !== 3 || dims[1] !== now.length || size === 0 || !(data instanceof Float32Array))
        throw badModel(`its logits are ${dims.join(' × ')}, and not 1 × ${now.length} × tokens of floats`)
      return data.subarray(data.length - size)
    },
    close
  }
}
