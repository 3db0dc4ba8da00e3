import { execFile } from 'node:child_process'
import {
  createSandbox,
  decodeValue,
  encodeValue,
  pythonClass,
  type Sandbox,
  type Session
} from '../sandbox/index.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { cpuBetween, cpuTimes } from './harness/process.ts'
import { alternate, beside, besideRows, ratios, summary } from './harness/statistics.ts'
import { dask, peerVersions, present, startPython } from './peers/index.ts'

const NATIVE = 'CPython of this machine'
const limits = { timeoutMs: 120_000, memoryMb: 256, outputBytes: 1 << 20 }
const PRIMES = `
def main(n):
    count = 0
    for k in range(2, n):
        factor = 2
        while factor * factor <= k:
            if k % factor == 0:
                break
            factor += 1
        else:
            count += 1
    return count
`
// what peers.py has for Dask
const PRIMES_OF = `
def prime(n):
    d = 2
    while d * d <= n:
        if n % d == 0:
            return 0
        d += 1
    return 1 if n > 1 else 0

def main(part):
    return sum(prime(n) for n in range(part[0], part[1] + 1))
`
const PARTS = 32

export const metrics: Record<string, string> = {
  'python.primes':
    'speed of primes by trial division in one worker’s Python, the CPython of this machine = 100',
  'python.cold': 'a program of Python where no interpreter is warm: open to first result',
  'python.cold-cpu': 'the same by CPU time',
  'python.reset': 'what an item costs beside its own work: memory, files and chance put back',
  'python.network':
    'primes up to 400,000 by trial division as 32 items over two workers, without replicas: submit to result',
  'python.network-share': 'speed of python.network as a multiple of the peer'
}

/** Behind all walls, beside the CPython that is on the PATH, and two workers of a network beside Dask's. */
export async function run(options: RunOptions): Promise<Row[]> {
  const rounds = options.quick ? 1 : 5
  return [...(await alone(rounds, options)), ...(await network(rounds, options))]
}

async function alone(rounds: number, { quick, failed }: RunOptions): Promise<Row[]> {
  const sandbox = createSandbox({ lazy: true })
  await sandbox.start()
  try {
    const warm = await open(sandbox)
    const rows = [
      ...(await cold(sandbox, rounds)),
      await reset(warm, rounds, quick ? 20 : 200),
      ...(await primes(warm, rounds, quick ? 5_000 : 60_000).catch(error => {
        failed(NATIVE, error as Error)
        return []
      }))
    ]
    await warm.close()
    return rows
  } finally {
    await sandbox.stop()
  }
}

export const versions = async (): Promise<Record<string, string>> => ({
  pyodide: pythonClass(),
  ...(await peerVersions([dask])),
  [NATIVE]: await native('import platform; print(platform.python_version())')
})

const open = (sandbox: Sandbox, source = PRIMES): Promise<Session> =>
  sandbox.open({ kind: 'python', source }, { limits, requester: 'bench' })

const slice = (...items: number[]): Uint8Array => encodeValue({ first: 0, items })

async function cold(sandbox: Sandbox, rounds: number): Promise<Row[]> {
  const cpu: number[] = []
  const { first } = await alternate(rounds, {
    first: async () => {
      // takes the interpreter that is warm; the next one starts as soon as this one is taken
      const taken = await open(sandbox)
      const before = cpuTimes(process.pid)
      const begin = performance.now()
      const session = await open(sandbox)
      await session.run([slice(2)])
      const ms = performance.now() - begin
      cpu.push(cpuBetween(before, cpuTimes(process.pid)))
      await Promise.all([session.close(), taken.close()])
      return ms
    }
  })
  return [summary('python.cold', 'ms', first), summary('python.cold-cpu', 'ms', cpu.slice(1))]
}

async function reset(session: Session, rounds: number, items: number): Promise<Row> {
  const { one } = await alternate(rounds, {
    one: async () => {
      const begin = performance.now()
      await session.run([slice(...new Array(items).fill(2))])
      return (performance.now() - begin) / items
    }
  })
  return summary('python.reset', 'ms', one)
}

async function primes(session: Session, rounds: number, below: number): Promise<Row[]> {
  let counted = 0
  const samples = await alternate(rounds, {
    ours: async () => {
      const begin = performance.now()
      const [outcome] = await session.run([slice(below)])
      if (!outcome?.ok) throw new Error(outcome?.failure.message)
      counted = (decodeValue(outcome.value) as number[])[0]!
      return performance.now() - begin
    },
    theirs: async () => {
      const timed = `${PRIMES}\nimport time\nbegin = time.perf_counter()\ncount = main(${below})\nprint((time.perf_counter() - begin) * 1000, count)`
      const [ms, count] = (await native(timed)).split(' ').map(Number)
      if (count !== counted) throw new Error(`${count} primes, ours are ${counted}`)
      return ms!
    }
  })
  const percent = ratios(samples.theirs, samples.ours).map(ratio => 100 * ratio)
  return [summary('python.primes', '%', percent)]
}

async function network(rounds: number, { quick, failed }: RunOptions): Promise<Row[]> {
  const size = (quick ? 40_000 : 400_000) / PARTS
  const parts = Array.from({ length: PARTS }, (_, i) => [1 + i * size, (i + 1) * size])
  await using stack = new AsyncDisposableStack()
  const fleet = stack.use(await startFleet({ workers: 2 }))
  const spec = { type: 'python', source: PRIMES_OF, items: parts, verify: 'none' }
  let counted = ''
  const artel = async (): Promise<number> => {
    const { ms, value } = await fleet.client.call('job', spec)
    counted = `${value}`
    return ms
  }
  const peers: Record<string, () => Promise<number>> = {}
  if ((await present([dask])).has(dask.name)) {
    const { ask, stop } = await startPython('dask')
    stack.defer(stop)
    peers[dask.name] = async () => {
      const { ms, sums } = await ask<{ ms: number; sums: number[] }>({
        run: 'compute',
        name: 'primes',
        parts
      })
      if (`${sums}` !== counted) throw new Error(`primes ${sums}, ours are ${counted}`)
      return ms
    }
  }
  return besideRows(
    'python.network',
    'ms',
    await beside(rounds, artel, peers, failed),
    'python.network-share'
  )
}

function native(source: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('python3', ['-c', source], (error, stdout) => (error ? reject(error) : resolve(stdout.trim())))
  })
}
