import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { benchNames, loadBench } from '../../benchmarks/harness/benches.ts'
import {
  alternate,
  beside,
  besideRows,
  percentile,
  ratios,
  summary
} from '../../benchmarks/harness/statistics.ts'

const FOLDER = join(import.meta.dirname, '../../benchmarks')

describe('benchmarks', () => {
  it('README and code name the same metrics with the same words', async () => {
    const readme = await readFile(join(FOLDER, 'README.md'), 'utf8')
    const listed = [...readme.matchAll(/^\| `([a-z0-9.-]+)` +\| (.*?) +\|$/gm)].map(([, name, text]) => [
      name,
      text
    ])
    const coded: string[][] = []
    for (const name of benchNames()) coded.push(...Object.entries((await loadBench(name)).metrics))
    assert.deepEqual(Object.fromEntries(listed), Object.fromEntries(coded))
    assert.equal(listed.length, coded.length, 'a metric is listed twice')
  })

  it('--json prints one document and nothing else', async () => {
    const { code, stdout, stderr } = await run('start', '--json', '--quick')
    assert.equal(code, 0, stderr)
    const report = JSON.parse(stdout)
    assert.deepEqual(Object.keys(report), ['bench', 'commit', 'machine', 'versions', 'rows'])
    const { metrics } = await loadBench('start')
    assert.deepEqual(
      report.rows.map((row: { metric: string }) => row.metric).sort(),
      Object.keys(metrics).sort()
    )
    for (const { unit, median, min, max, runs } of report.rows) {
      assert.equal(typeof unit, 'string')
      assert.ok(min <= median && median <= max && min > 0 && runs >= 1)
    }
  })

  it('an unknown name is one clear line and exit code 2', async () => {
    const { code, stdout, stderr } = await run('dispach')
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^there is no bench "dispach"; there are .*dispatch.*\n$/)
  })

  it('compare without a commit says what is missing', async () => {
    const { code, stderr } = await run('compare')
    assert.equal(code, 2)
    assert.match(stderr, /compare HEAD~1/)
  })
})

describe('benchmark statistics', () => {
  it('takes median and percentiles', () => {
    assert.equal(percentile([3, 1, 2], 50), 2)
    assert.equal(percentile([4, 1, 3, 2], 50), 2.5)
    assert.equal(percentile([5, 1, 4, 2, 3], 100), 5)
    assert.throws(() => percentile([], 50), RangeError)
    assert.deepEqual(summary('m', 'ms', [10, 9, 11]), {
      metric: 'm',
      unit: 'ms',
      median: 10,
      min: 9,
      max: 11,
      runs: 3
    })
  })

  it('runs variants in turn and throws the first round away', async () => {
    const order: string[] = []
    const variant = (name: string) => async () => order.push(name)
    const samples = await alternate(2, { a: variant('a'), b: variant('b') })
    assert.deepEqual(order, ['a', 'b', 'a', 'b', 'a', 'b'])
    assert.deepEqual(samples, { a: [3, 5], b: [4, 6] })
    assert.deepEqual(ratios(samples.b, samples.a), [4 / 3, 6 / 5])
  })

  it('names a peer that fails and goes on with the others', async () => {
    const failures: string[] = []
    let runs = 0
    const peers = {
      broken: async () => {
        if (++runs === 2) throw new Error('its server is gone')
        return 1
      },
      sound: async () => 20
    }
    const samples = await beside(
      2,
      async () => 10,
      peers,
      (peer, { message }) => failures.push(`${peer}: ${message}`)
    )
    assert.deepEqual(failures, ['broken: its server is gone'])
    assert.deepEqual(samples, { artel: [10, 10], peers: [['sound', [20, 20]]] })
    const row = { median: 10, min: 10, max: 10, runs: 2 }
    assert.deepEqual(besideRows('m', 'ms', samples, 'share'), [
      { metric: 'm', unit: 'ms', ...row },
      { metric: 'm', unit: 'ms', median: 20, min: 20, max: 20, runs: 2, peer: 'sound' },
      { metric: 'share', unit: '×', median: 2, min: 2, max: 2, runs: 2, peer: 'sound' }
    ])
    assert.equal(besideRows('m', 'M/s', samples, 'share')[2]!.median, 0.5)
  })
})

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise(resolve => {
    execFile(
      process.execPath,
      ['--no-node-snapshot', join(FOLDER, 'run.ts'), ...args],
      (error, stdout, stderr) => resolve({ code: error == null ? 0 : Number(error.code), stdout, stderr })
    )
  })
}
