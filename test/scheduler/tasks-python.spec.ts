import { strict as assert } from 'node:assert'
import { decodeValue, pythonClass } from '../../sandbox/index.ts'
import { addData } from '../../scheduler/data/chunked-data.ts'
import { SpecError } from '../../scheduler/errors.ts'
import { lacks, needsOf, runtimes } from '../../scheduler/market/match.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { memoryBlocks } from './memory-blocks.ts'
import { WorkRunner } from './run-work.ts'

const MAIN = 'def main(x):\n  return x'

describe('python tasks', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  it('give the same bytes for every cut, and values of context as variables', async () => {
    const source = `
import random
calls = 0

def main(x):
  global calls
  calls += 1
  return [x * factor, calls, random.random()]
`
    const spec = { type: 'python', source, range: { start: 1, end: 9 }, context: { factor: 3 } }
    const whole = await runner.run(spec, { slice: 9 })
    assert.deepEqual(await runner.run(spec, { slice: 2, seed: 7 }), whole)
    const rows = decodeValue(whole) as number[][]
    assert.deepEqual(
      rows.map(([product, calls]) => [product, calls]),
      [3, 6, 9, 12, 15, 18, 21, 24, 27].map(product => [product, 1])
    )
    assert.equal(new Set(rows.map(row => row[2])).size, 9)
  })

  it('with `input` give one result', async () => {
    const source = 'def main(x):\n  return sorted(x.items())'
    assert.deepEqual(await runner.result({ type: 'python', source, input: { b: 1, a: 2 } }), [
      ['a', 2],
      ['b', 1]
    ])
  })

  it('import wheels that lie in the block store', async () => {
    const source = `
import io, zipfile

def main(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as wheel:
        wheel.writestr(f'{name}/__init__.py', 'def hello(who): return f"hello {who}"')
        wheel.writestr(f'{name}-1.0.dist-info/METADATA', f'Name: {name}')
    return file.getvalue()`
    const wheel: Uint8Array = await runner.result({ type: 'python', source, input: 'greeting' })
    const blocks = memoryBlocks()
    const { cid } = await addData(blocks, [wheel])
    const greet = 'import greeting\n\ndef main(who):\n  return greeting.hello(who)'
    const spec = { type: 'python', source: greet, items: ['you', 'me'], packages: [{ cid }] }
    assert.deepEqual(decodeValue(await runner.run(spec, { blocks })), ['hello you', 'hello me'])
  })

  it('are refused by name where the form cannot say it', () => {
    const refused: [object, RegExp][] = [
      [{ source: MAIN }, /^items: give one of/],
      [{ source: MAIN, items: [1], input: 2 }, /^items: give one of/],
      [{ source: 'x = 1', items: [1] }, /^source: defines no `main`/],
      [{ source: MAIN, range: { start: 1, end: 2 }, firstIndex: 4 }, /^firstIndex: is for `items`/],
      [{ source: MAIN, items: [1], context: { 'a b': 1 } }, /^context: `a b` is no name/],
      [{ source: MAIN, items: [1], packages: ['numpy'] }, /^packages\.0: must be bytes/]
    ]
    for (const [spec, message] of refused)
      assert.throws(() => parseSpec({ type: 'python', ...spec }), { name: SpecError.name, message })
  })

  it('go only to workers whose interpreter gives the same bits', () => {
    const needs = needsOf(parseSpec({ type: 'python', source: MAIN, items: [1] }))
    const offer = { slots: 1, ramMb: 512, tags: [], runtimes: runtimes() }
    assert.equal(needs.runtime, pythonClass())
    assert.equal(lacks(needs, offer), undefined)
    assert.equal(lacks(needs, { ...offer, runtimes: ['pyodide-1.2.3'] }), 'type')
    assert.equal(lacks(needs, { ...offer, runtimes: undefined }), 'type', 'of a version that has no Python')
    const map = needsOf(parseSpec({ type: 'map', items: [1], fn: 'x' }))
    assert.equal(lacks(map, { ...offer, runtimes: undefined }), undefined)
  })
})
