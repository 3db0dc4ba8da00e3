import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeValue } from '../../sandbox/index.ts'
import { table } from '../cli/output.ts'
import { runJob } from '../cli/run-job.ts'
import type { Demo } from './contract.ts'
import { startCrew } from './crew.ts'

const JOB_MS = 600_000
const PACKAGE = fileURLToPath(new URL('../sdk/python', import.meta.url))
const TEXT = fileURLToPath(new URL('../../CHANGELOG.md', import.meta.url))
const PRIMES_BELOW_200_000 = 17_984
const BLOCK = 5_000

/** What is asked, and what is said of the result; undefined: it is wrong. */
interface Work {
  name: string
  spec: { source: string } & Record<string, unknown>
  judge(results: never): string | undefined
}

const PRIMES = `
def main(first):
    count = 0
    for n in range(max(first, 2), first + ${BLOCK}):
        factor = 2
        while factor * factor <= n:
            if n % factor == 0:
                break
            factor += 1
        else:
            count += 1
    return count
`
const WORDS = `
import collections, re

def main(line):
    return dict(sorted(collections.Counter(re.findall('[a-z]+', line.lower())).items()))
`
const DARTS = `
import random

def main(block):
    return sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(darts))
`
const REGRESSION = `
import random, statistics

def main(block):
    points = [(x, 3 * x - 2 + random.gauss(0, 1)) for x in (random.uniform(-5, 5) for _ in range(2_000))]
    slope, intercept = statistics.linear_regression(*zip(*points))
    return [slope, intercept]
`
const EXECUTOR = `
import artel, json, math

def is_prime(n):
    return n > 1 and all(n % factor for factor in range(2, math.isqrt(n) + 1))

with artel.Executor(name='primes from Python') as pool:
    print(json.dumps(sum(pool.map(is_prime, range(20_000), chunksize=1_000))))
`
const PRIMES_BELOW_20_000 = '2262'

async function works(): Promise<Work[]> {
  const lines = (await readFile(TEXT, 'utf8')).split('\n').filter(line => line !== '')
  const words = lines
    .join('\n')
    .toLowerCase()
    .match(/[a-z]+/g)!.length
  const DARTS_EACH = 10_000
  return [
    {
      name: 'primes below 200,000',
      spec: { source: PRIMES, range: { start: 0, end: 199_999, step: BLOCK } },
      judge: (counts: number[]) => {
        const all = counts.reduce((sum, count) => sum + count, 0)
        return all === PRIMES_BELOW_200_000 ? all.toLocaleString('en') : undefined
      }
    },
    {
      name: `words of ${lines.length} lines`,
      spec: { source: WORDS, items: lines },
      judge: (counts: Record<string, number>[]) => {
        const all = counts.flatMap(Object.values).reduce((sum: number, count) => sum + Number(count), 0)
        return all === words ? all.toLocaleString('en') : undefined
      }
    },
    {
      name: 'π by Monte Carlo',
      spec: { source: DARTS, range: { start: 1, end: 30 }, context: { darts: DARTS_EACH } },
      judge: (hits: number[]) => {
        const pi = (4 * hits.reduce((sum, hit) => sum + hit, 0)) / (hits.length * DARTS_EACH)
        const isRandom = new Set(hits).size > hits.length / 2
        return isRandom && Math.abs(pi - Math.PI) < 0.02 ? pi.toFixed(4) : undefined
      }
    },
    {
      name: 'regression, 20 samples',
      spec: { source: REGRESSION, range: { start: 1, end: 20 } },
      judge: (lines: [number, number][]) => {
        const [slope, intercept] = [0, 1].map(
          i => lines.reduce((sum, line) => sum + line[i]!, 0) / lines.length
        )
        const isRight = Math.abs(slope! - 3) < 0.02 && Math.abs(intercept! + 2) < 0.05
        return isRight ? `y = ${slope!.toFixed(3)} x − ${Math.abs(intercept!).toFixed(3)}` : undefined
      }
    }
  ]
}

/** Python on three workers, one of which is killed; every result byte for byte that of one worker. */
export const python: Demo = {
  summary:
    'four jobs in Python on three workers, one killed, byte-equal to one worker’s; then an Executor of Python',
  async run(stage) {
    const { say, nodes } = stage
    const { client, bringBack } = await startCrew(stage)
    const names = new Map([...nodes.values()].map(node => [node.id, node.name]))
    const alone = { privacy: { workers: [nodes.get('worker1')!.id] }, verify: 'none' }
    const rows: {
      job: string
      result: string
      right: boolean
      sameBytes: boolean
      ms: number
      by: string
    }[] = []
    let killed: Promise<void> | undefined
    for (const { name, spec, judge } of await works()) {
      say(`${name} …`)
      const startedAt = performance.now()
      const { result, report } = await runJob(
        client.control,
        { type: 'python', ...spec },
        {
          signal: AbortSignal.timeout(JOB_MS),
          onProgress: ({ done, total }) => {
            if (done > 0 && done < total) killed ??= stage.kill('worker3')
          }
        }
      )
      const ms = Math.round(performance.now() - startedAt)
      const one = await runJob(
        client.control,
        { type: 'python', ...spec, ...alone },
        { signal: AbortSignal.timeout(JOB_MS) }
      )
      const found = judge(result as never)
      rows.push({
        job: name,
        result: found ?? 'WRONG',
        right: found != null,
        sameBytes: Buffer.compare(encodeValue(result), encodeValue(one.result)) === 0,
        ms,
        by: report.shares
          .map(share => `${names.get(share.worker)}: ${share.slices}`)
          .sort()
          .join('  ')
      })
      if (rows.length > 1 || killed == null) continue
      await killed
      say('worker3 was killed in the middle.')
      await bringBack('worker3')
    }
    say('An Executor in Debian’s Python …')
    const file = join(stage.folder, 'primes.py') // functions travel by their source, which has to be in a file
    await writeFile(file, EXECUTOR)
    const counted = await runPython(file, { ARTEL_DATA: client.folder, PYTHONPATH: PACKAGE })
    const isCounted = counted.trim() === PRIMES_BELOW_20_000
    return {
      right: rows.every(({ right, sameBytes }) => right && sameBytes) && killed != null && isCounted,
      report: {
        jobs: rows,
        killed: killed == null ? null : 'worker3',
        executor: { primesBelow20000: counted.trim() }
      },
      text: table(
        ['JOB', 'RESULT', 'ONE WORKER’S BYTES', 'MS', 'SLICES'],
        [
          ...rows.map(({ job, result, sameBytes, ms, by }) => [
            job,
            result,
            sameBytes ? 'equal' : 'DIFFER',
            ms,
            by
          ]),
          [
            'primes below 20,000, by an Executor',
            isCounted ? counted.trim() : `WRONG: ${counted}`,
            '',
            '',
            ''
          ]
        ]
      )
    }
  }
}

function runPython(file: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env }, timeout: JOB_MS }
    execFile('python3', [file], options, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
}
