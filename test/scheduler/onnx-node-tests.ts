import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web/wasm'
import { decodeValue } from '../../sandbox/index.ts'
import { type Message, readMessage } from '../../scheduler/tasks/onnx/protobuf.ts'
import { readModel, sizeOf } from '../../scheduler/tasks/onnx/read-model.ts'
import { type GivenTensor, type Tensor, toType, typeOf } from '../../scheduler/tasks/onnx/tensors.ts'
import { WorkRunner } from './run-work.ts'

/*
 * The tests of ONNX's own operators and models, from Debian's libonnx-testdata: a folder per model, with inputs and the
 * outputs that its reference implementation gives. Run as a program it tries them all, beside onnxruntime-web in plain Node:
 *
 *   node --no-node-snapshot test/scheduler/onnx-node-tests.ts [FOLDER]
 */

export const NODE_TESTS = '/usr/share/libonnx-testdata/data'

// onnx/backend/test/runner: what outputs may differ by
const [RELATIVE, ABSOLUTE] = [1e-3, 1e-5]

export interface NodeTest {
  name: string
  model: Uint8Array
  input: Record<string, Tensor>
  /** the same as TensorProto */
  protos: Record<string, Uint8Array>
  /** in the order of the model's outputs; undefined for what is no tensor */
  expected: (Tensor | undefined)[]
  outputs: string[]
}

/** Throws RangeError for one with inputs that are no tensors. */
export function readNodeTest(folder: string): NodeTest {
  const model = new Uint8Array(readFileSync(join(folder, 'model.onnx')))
  const { inputs, outputs, tensors } = readModel(model)
  const data = join(folder, 'test_data_set_0')
  const files = readdirSync(data)
  const read = (kind: string, i: number): Tensor => readTensor(readFileSync(join(data, `${kind}_${i}.pb`)))
  const names = inputs.map(({ name }) => name)
  if (inputs.some(({ type }) => type === undefined)) throw new RangeError('an input is no tensor')
  // a file per input of the graph, initializers among them in old models
  const given = files.filter(file => file.startsWith('input_')).length
  if (given !== names.length)
    throw new RangeError(`${given} inputs for ${names.length}, ${tensors.size} initializers`)
  return {
    name: folder.split('/').at(-1)!,
    model,
    input: Object.fromEntries(names.map((name, i) => [name, read('input', i)])),
    protos: Object.fromEntries(names.map((name, i) => [name, readFileSync(join(data, `input_${i}.pb`))])),
    outputs: outputs.map(({ name }) => name),
    expected: outputs.map(({ type }, i) => (type === undefined ? undefined : read('output', i)))
  }
}

/** TensorProto */
function readTensor(bytes: Uint8Array): Tensor {
  const message = readMessage(bytes)
  const dims = message.ints(1, 64)!
  const code = message.int(2)
  const type = typeOf(code)
  if (type === undefined) throw new RangeError(`elements of type ${code}`)
  const size = sizeOf(dims)
  if (type === 'string') return { type, dims, data: message.texts(6) }
  const { data } = toType({ dims, data: numbersOf(message, code, size) }, type)
  return { type, dims, data }
}

function numbersOf(message: Message, code: number, size: number): GivenTensor['data'] {
  const raw = message.bytes(9)
  const [HALF, BOOL] = [10, 9]
  if (raw !== undefined) {
    const { buffer } = new Uint8Array(raw)
    if (code === HALF) return Float32Array.from(new Float16Array(buffer))
    if (code === BOOL) return new Uint8Array(buffer)
    const { data } = toType({ dims: [0], data: [] }, typeOf(code)!)
    return new (data.constructor as Uint8ArrayConstructor)(buffer)
  }
  const floats = message.bytes(code === 11 ? 10 : 4)
  if (floats !== undefined && (code === 1 || code === 11)) {
    const { buffer } = new Uint8Array(floats)
    return code === 1 ? new Float32Array(buffer) : new Float64Array(buffer)
  }
  const integers = message.ints(code === 7 ? 7 : code > 11 ? 11 : 5, size)!
  return code === HALF ? Float32Array.from(new Float16Array(Uint16Array.from(integers).buffer)) : integers
}

/** What onnxruntime-web gives in plain Node, as it gives it. */
export async function runPlain({ model, input }: NodeTest): Promise<Record<string, Tensor>> {
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'fatal'
  const session = await ort.InferenceSession.create(model)
  try {
    const feeds = Object.entries(input).map(([name, { type, dims, data }]) => [
      name,
      new ort.Tensor(
        type as 'float32',
        (type === 'float16' ? new Float16Array(data as Float32Array) : data) as Float32Array,
        dims
      )
    ])
    const outputs = await session.run(Object.fromEntries(feeds))
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { type, dims, data }]) => [
        name,
        { type, dims: [...dims], data: type === 'float16' ? new Float32Array(data as never) : data } as Tensor
      ])
    )
  } finally {
    await session.release()
  }
}

/** The first way in which outputs are not what the test expects; undefined where they are. */
export function difference(
  { outputs, expected }: NodeTest,
  given: Record<string, Tensor>
): string | undefined {
  for (const [i, name] of outputs.entries()) {
    const want = expected[i]
    const got = given[name]
    if (want === undefined) continue
    if (got === undefined) return `no ${name}`
    if (`${got.type} ${got.dims}` !== `${want.type} ${want.dims}`)
      return `${name} is ${got.type} ${got.dims}, not ${want.type} ${want.dims}`
    for (const [k, value] of [...want.data].entries()) {
      const other = got.data[k]!
      if (
        typeof value === 'string' || typeof value === 'bigint'
          ? value === other
          : isNear(other as number, value)
      )
        continue
      return `${name}[${k}] is ${other}, not ${value}`
    }
  }
  return undefined
}

const isNear = (x: number, y: number): boolean =>
  Object.is(x, y) ||
  x === y ||
  (Number.isNaN(x) && Number.isNaN(y)) ||
  Math.abs(x - y) <= ABSOLUTE + RELATIVE * Math.abs(y)

/** Bytes of all elements, NaN as the value codec has it. */
export const bitsOf = (outputs: Record<string, Tensor>): string =>
  Object.entries(outputs)
    .map(
      ([name, { type, dims, data }]) =>
        `${name} ${type} ${dims} ${[...data].map(x => (Object.is(x, -0) ? '-0' : `${x}`))}`
    )
    .join('\n')

export function foldersOf(root = NODE_TESTS): string[] {
  return ['node', 'simple', 'pytorch-converted', 'pytorch-operator'].flatMap(kind =>
    readdirSync(join(root, kind)).map(name => join(root, kind, name))
  )
}

async function main([root]: string[]): Promise<void> {
  const runner = new WorkRunner()
  await runner.start()
  const counts = {
    'no tensors': 0,
    both: 0,
    neither: 0,
    'only plain': 0,
    'only behind walls': 0,
    'other bits': 0
  }
  const settle = async (run: () => Promise<Record<string, Tensor>>) => {
    try {
      return { outputs: await run() }
    } catch (err) {
      return { problem: (err as Error).message.slice(0, 200) }
    }
  }
  for (const folder of foldersOf(root)) {
    let test: NodeTest
    try {
      test = readNodeTest(folder)
    } catch (err) {
      counts['no tensors']++
      console.log(`${folder.split('/').at(-1)}: ${(err as Error).message}`)
      continue
    }
    const { model, input } = test
    const plain = await settle(() => runPlain(test))
    const walled = await settle(
      async () =>
        decodeValue(await runner.run({ type: 'ml_inference', model, input })) as Record<string, Tensor>
    )
    const wrong = [plain, walled].map(({ outputs, problem }) => problem ?? difference(test, outputs!))
    const isSame =
      plain.outputs === undefined ||
      walled.outputs === undefined ||
      bitsOf(plain.outputs) === bitsOf(walled.outputs)
    const verdict =
      wrong[0] === undefined
        ? wrong[1] === undefined
          ? 'both'
          : 'only plain'
        : wrong[1] === undefined
          ? 'only behind walls'
          : 'neither'
    counts[verdict]++
    if (!isSame) counts['other bits']++
    if (verdict !== 'both' || !isSame)
      console.log(
        `${test.name}: ${verdict}${isSame ? '' : ', other bits'}\n  plain: ${wrong[0]}\n  walls: ${wrong[1]}`
      )
  }
  await runner.stop()
  console.table(counts)
}

if (import.meta.main) await main(process.argv.slice(2))
