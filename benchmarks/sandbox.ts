import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createContext, Script } from 'node:vm'
import ivm from 'isolated-vm'
import {
  createSandbox,
  encodeValue,
  type Limits,
  type Program,
  type Sandbox,
  type Session
} from '../sandbox/index.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { cpuBetween, cpuTimes } from './harness/process.ts'
import { alternate, percentile, ratios, summary } from './harness/statistics.ts'

const BATCH = 64
const IN_FLIGHT = 3
const ARRAY_BYTES = 64 * 2 ** 20
const MIB_BYTES = 2 ** 20
const limits: Limits = { timeoutMs: 20_000, memoryMb: 512, outputBytes: ARRAY_BYTES + 64 }
const TRIVIAL = 'x => x * 2'
const KEEPING = 'x => (globalThis.last = x * 2)' // keeps something, so every batch needs a fresh context
const COMPUTE = `n => {
  const sieve = new Uint8Array(n + 1)
  let count = 0
  for (let i = 2; i <= n; i++) {
    if (sieve[i] === 1) continue
    count++
    for (let k = i * 2; k <= n; k += i) sieve[k] = 1
  }
  let h = count
  for (let i = 0; i < n * 4; i++) h = (Math.imul(h, 31) + i) | 0
  return h
}`
const ISOLATE = 'isolated-vm in this process'
const ISOLATE_FRESH = 'isolated-vm in this process, fresh context per batch'

export const metrics: Record<string, string> = {
  'sandbox.calls': `calls/s of a trivial function in batches of ${BATCH}, ${IN_FLIGHT} under way, behind all walls`,
  'sandbox.calls-fresh':
    'the same with a function that keeps state, so that every batch gets a fresh context',
  'sandbox.call-p50': 'one warm call, value to value: median of a run',
  'sandbox.cold': 'spawn of a child behind all walls until it is ready for a program',
  'sandbox.open': 'cold open: spawn, load a program, first result',
  'sandbox.kill': 'a program that loops: from its deadline until its failure is answered',
  'sandbox.compute': 'speed of a compute-bound function, plain Node in this process = 100',
  'sandbox.compute-cpu': 'the same by CPU time, which hardly depends on who else uses the machine',
  'sandbox.bytes': 'Float64Array of 64 MiB in and the same out: MiB moved per second, both ways counted'
}

/** Behind all walls, beside a bare isolate, node:vm and piscina on the same work in turns. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 7
  await using stack = new AsyncDisposableStack()
  const sandbox = createSandbox({ warm: 2 })
  await sandbox.start()
  stack.defer(() => sandbox.stop())
  return [
    ...(await calls(sandbox, rounds, quick ? 200 : 3_000)),
    ...(await latency(sandbox, rounds, quick ? 50 : 1_000)),
    ...(await cold(rounds)),
    ...(await compute(sandbox, rounds, quick)),
    ...(await bytes(sandbox, rounds))
  ]
}

export async function versions(): Promise<Record<string, string>> {
  const own = JSON.parse(
    readFileSync(new URL('../node_modules/isolated-vm/package.json', import.meta.url), 'utf8')
  )
  return {
    'isolated-vm': own.version,
    piscina: piscinaVersion() ?? 'missing, get it with: npm ci --prefix benchmarks/peers'
  }
}

async function calls(sandbox: Sandbox, rounds: number, batches: number): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const numbers = Array.from({ length: BATCH }, (_, i) => i)
  const values = numbers.map(x => encodeValue(x))
  const perSecond = async (count: number, work: () => Promise<void>) => {
    const begin = performance.now()
    await work()
    return (count * BATCH * 1000) / (performance.now() - begin)
  }
  const ours = async (source: string) => {
    const session = await openFor(sandbox, { kind: 'function', source }, stack)
    return () =>
      perSecond(batches, async () => {
        let left = batches
        await Promise.all(
          Array.from({ length: IN_FLIGHT }, async () => {
            while (left-- > 0) await session.run(values)
          })
        )
      })
  }

  const isolate = new ivm.Isolate({ memoryLimit: 128 })
  stack.defer(() => isolate.dispose())
  const script = isolate.compileScriptSync(`(${TRIVIAL})`)
  const reference = (context: ivm.Context) =>
    script.runSync(context, { reference: true }) as unknown as ivm.Reference
  const callAll = (call: ivm.Reference) => {
    for (const x of numbers) call.applySync(undefined, [x])
  }
  const kept = reference(isolate.createContextSync())
  const inVm = new Script(`(${TRIVIAL})`).runInContext(createContext()) as (x: number) => number
  const piscina = await startPiscina(stack)

  const variants: Record<string, () => Promise<number>> = {
    ours: await ours(TRIVIAL),
    oursFresh: await ours(KEEPING),
    isolate: () =>
      perSecond(batches, async () => {
        for (let i = 0; i < batches; i++) callAll(kept)
      }),
    isolateFresh: () =>
      perSecond(batches, async () => {
        for (let i = 0; i < batches; i++) {
          const context = isolate.createContextSync()
          const call = reference(context)
          callAll(call)
          call.release()
          context.release()
        }
      }),
    vm: () =>
      perSecond(batches, async () => {
        for (let i = 0; i < batches; i++) for (const x of numbers) inVm(x)
      })
  }
  if (piscina !== undefined) {
    variants.piscina = () =>
      perSecond(batches, async () => {
        let left = batches
        await Promise.all(
          Array.from({ length: IN_FLIGHT }, async () => {
            while (left-- > 0) await piscina.run(numbers)
          })
        )
      })
  }
  const samples = await alternate(rounds, variants)
  return [
    summary('sandbox.calls', 'calls/s', samples.ours!),
    summary('sandbox.calls', 'calls/s', samples.isolate!, ISOLATE),
    summary('sandbox.calls', 'calls/s', samples.vm!, 'node:vm'),
    ...(samples.piscina === undefined
      ? []
      : [summary('sandbox.calls', 'calls/s', samples.piscina, 'piscina')]),
    summary('sandbox.calls-fresh', 'calls/s', samples.oursFresh!),
    summary('sandbox.calls-fresh', 'calls/s', samples.isolateFresh!, ISOLATE_FRESH)
  ]
}

async function latency(sandbox: Sandbox, rounds: number, count: number): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const session = await openFor(sandbox, { kind: 'function', source: TRIVIAL }, stack)
  const value = encodeValue(1)
  const piscina = await startPiscina(stack)
  const median = async (call: () => Promise<unknown>) => {
    const samples: number[] = []
    for (let i = 0; i < count; i++) {
      const begin = performance.now()
      await call()
      samples.push(performance.now() - begin)
    }
    return percentile(samples, 50)
  }
  const variants: Record<string, () => Promise<number>> = { ours: () => median(() => session.run([value])) }
  if (piscina !== undefined) variants.piscina = () => median(() => piscina.run([1]))
  const samples = await alternate(rounds, variants)
  return [
    summary('sandbox.call-p50', 'ms', samples.ours!),
    ...(samples.piscina === undefined ? [] : [summary('sandbox.call-p50', 'ms', samples.piscina, 'piscina')])
  ]
}

async function cold(rounds: number): Promise<Row[]> {
  const { buildWalls, childPayload } = await import('../sandbox/walls.ts')
  const { launch } = await buildWalls(childPayload())
  const sandbox = createSandbox({ warm: 0 })
  await sandbox.start()
  const deadlineMs = 100
  const samples = await alternate(rounds * 3, {
    kill: async () => {
      const given = { ...limits, timeoutMs: deadlineMs }
      const session = await sandbox.open(
        { kind: 'function', source: '() => { for (;;); }' },
        { limits: given, requester: 'bench' }
      )
      const begin = performance.now()
      await session.run([encodeValue(1)])
      const ms = performance.now() - begin - deadlineMs
      await session.close()
      return ms
    },
    ready: async () => {
      const begin = performance.now()
      const child = await launch(true)
      const ms = performance.now() - begin
      child.kill()
      await child.ended
      return ms
    },
    first: async () => {
      const begin = performance.now()
      const session = await sandbox.open(
        { kind: 'function', source: TRIVIAL },
        { limits, requester: 'bench' }
      )
      await session.run([encodeValue(1)])
      const ms = performance.now() - begin
      await session.close()
      return ms
    }
  })
  await sandbox.stop()
  return [
    summary('sandbox.cold', 'ms', samples.ready),
    summary('sandbox.open', 'ms', samples.first),
    summary('sandbox.kill', 'ms', samples.kill)
  ]
}

async function compute(sandbox: Sandbox, rounds: number, quick: boolean): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const size = quick ? 3e6 : 2e7
  const session = await openFor(sandbox, { kind: 'function', source: COMPUTE }, stack)
  // a function object of its own for every run, as ours gets: what V8 learned from the last one is not the question
  const plain = (n: number) => (new Script(`(${COMPUTE})`).runInThisContext() as (n: number) => number)(n)
  const used = { plain: [] as number[], ours: [] as number[] }
  const time = async (name: keyof typeof used, work: () => unknown) => {
    const before = cpuTimes(process.pid)
    const begin = performance.now()
    await work()
    const ms = performance.now() - begin
    const after = cpuTimes(process.pid)
    const own = after.get(process.pid)! - before.get(process.pid)!
    used[name].push(name === 'plain' ? own : cpuBetween(before, after) - own)
    return ms
  }
  const samples = await alternate(rounds, {
    plain: () => time('plain', () => plain(size)),
    ours: () => time('ours', () => session.run([encodeValue(size)]))
  })
  const percent = (values: number[]) => values.map(ratio => 100 * ratio)
  return [
    summary('sandbox.compute', '%', percent(ratios(samples.plain, samples.ours))),
    // without the first round, as `alternate` does
    summary('sandbox.compute-cpu', '%', percent(ratios(used.plain.slice(1), used.ours.slice(1))))
  ]
}

async function bytes(sandbox: Sandbox, rounds: number): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const session = await openFor(sandbox, { kind: 'function', source: 'x => x' }, stack)
  const value = encodeValue(new Float64Array(ARRAY_BYTES / 8).fill(1.5))
  const samples = await alternate(rounds, {
    ours: async () => {
      const begin = performance.now()
      const [outcome] = await session.run([value])
      if (!outcome!.ok) throw new Error(outcome!.failure.message)
      return (2 * ARRAY_BYTES * 1000) / MIB_BYTES / (performance.now() - begin)
    }
  })
  return [summary('sandbox.bytes', 'MiB/s', samples.ours)]
}

async function openFor(sandbox: Sandbox, program: Program, stack: AsyncDisposableStack): Promise<Session> {
  const session = await sandbox.open(program, { limits, requester: 'bench' })
  stack.defer(() => session.close())
  return session
}

interface Piscina {
  run(task: number[]): Promise<unknown>
  destroy(): Promise<void>
}

const PISCINA = new URL('./peers/node_modules/piscina/', import.meta.url)

function piscinaVersion(): string | undefined {
  const file = new URL('package.json', PISCINA)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

/** One worker thread that does one batch; undefined where benchmarks/peers is not installed. */
async function startPiscina(stack: AsyncDisposableStack): Promise<Piscina | undefined> {
  if (piscinaVersion() === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'artel-bench-'))
  stack.defer(() => rmSync(folder, { recursive: true }))
  const filename = join(folder, 'worker.mjs')
  writeFileSync(filename, `const f = ${TRIVIAL}\nexport default numbers => numbers.map(f)\n`)
  const { Piscina } = createRequire(PISCINA)('piscina')
  const pool: Piscina = new Piscina({
    filename: pathToFileURL(filename).href,
    maxThreads: 1,
    concurrentTasksPerWorker: 3
  })
  stack.defer(() => pool.destroy())
  return pool
}
