import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { decodeValue } from '../../sandbox/index.ts'
import { mixesRows } from '../../scheduler/tasks/onnx/mixes-rows.ts'
import { readModel } from '../../scheduler/tasks/onnx/read-model.ts'
import { cutRows, joinRows, type Tensor } from '../../scheduler/tasks/onnx/tensors.ts'
import { withOpenRows } from './onnx-model.ts'
import {
  bitsOf,
  difference,
  foldersOf,
  NODE_TESTS,
  type NodeTest,
  readNodeTest,
  runPlain
} from './onnx-node-tests.ts'
import { WorkRunner } from './run-work.ts'

// A part of them behind the walls, each in a process of its own; `node test/scheduler/onnx-node-tests.ts` tries them all.
const EVERY = 60

/** Those whose inputs are tensors. */
function* nodeTests(): Iterable<NodeTest> {
  for (const folder of foldersOf()) {
    try {
      yield readNodeTest(folder)
    } catch (err) {
      if (!(err instanceof RangeError)) throw err
    }
  }
}

/** The same test with inputs that have rows: all of them where they are equally many, and each one alone, the others constants. */
function* withRows(test: NodeTest): Iterable<NodeTest> {
  const names = Object.keys(test.input)
  const counts = new Set(Object.values(test.input).map(({ dims }) => dims[0]))
  const choices = names.map(name => [name])
  if (counts.size === 1 && names.length > 1) choices.push(names)
  for (const chosen of choices) {
    if (chosen.some(name => !test.input[name]!.dims[0])) continue
    const constants = names.filter(name => !chosen.includes(name)).map(name => [name, test.protos[name]!])
    yield {
      ...test,
      model: withOpenRows(test.model, Object.fromEntries(constants)),
      input: Object.fromEntries(chosen.map(name => [name, several(test.input[name]!)]))
    }
  }
}

/** A single row gets another one, with the same elements the other way round. */
function several({ type, dims, data }: Tensor): Tensor {
  if (dims[0] !== 1) return { type, dims, data }
  const row: Tensor = { type, dims, data }
  return joinRows([row, { type, dims, data: data.slice().reverse() as Tensor['data'] }])!
}

describe("ml_inference: ONNX's own tests", () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  it('are installed', () => {
    assert.ok(
      existsSync(NODE_TESTS),
      'Debian package libonnx-testdata; bootstrap/install-debian-packages.sh installs it'
    )
  })

  it('end as in onnxruntime-web in plain Node', async () => {
    let passed = 0
    for (const [i, test] of [...nodeTests()].entries()) {
      if (i % EVERY !== 0) continue
      const plain = await runPlain(test).catch((err: Error) => err)
      const { model, input } = test
      const walled = await runner.run({ type: 'ml_inference', model, input }).then(
        bytes => decodeValue(bytes) as Record<string, Tensor>,
        (err: Error) => err
      )
      if (plain instanceof Error) {
        assert.ok(walled instanceof Error, `${test.name}: plain ${plain.message}`)
        continue
      }
      assert.ok(!(walled instanceof Error), `${test.name}: ${walled}`)
      if (!test.name.includes('bernoulli')) assert.equal(bitsOf(walled), bitsOf(plain), test.name)
      if (difference(test, walled) === undefined) passed++
    }
    assert.ok(passed > 10, `${passed} pass`)
  })

  it('give the same row by row, wherever the operators say that rows are independent', async () => {
    const operators = new Set<string>()
    for (const test of nodeTests()) {
      for (const some of withRows(test)) {
        const graph = readModel(some.model)
        if (mixesRows(graph) !== undefined) continue
        // what it does not know, it refuses with or without a cut
        const whole = await runPlain(some).catch(() => undefined)
        if (whole === undefined) continue
        const rows = Object.values(some.input)[0]!.dims[0]!
        const parts: Record<string, Tensor>[] = []
        for (let row = 0; row < rows; row++) {
          const input = Object.entries(some.input).map(([name, tensor]) => [
            name,
            cutRows(tensor, row, row + 1)
          ])
          parts.push(await runPlain({ ...some, input: Object.fromEntries(input) }))
        }
        const joined = some.outputs.map(name => [name, joinRows(parts.map(part => part[name]!))])
        const expected = some.outputs.map(name => whole[name])
        assert.equal(difference({ ...some, expected }, Object.fromEntries(joined)), undefined, some.name)
        for (const { op } of graph.nodes) operators.add(op)
      }
    }
    assert.ok(operators.size > 90, `${operators.size} operators were cut`)
  })
})
