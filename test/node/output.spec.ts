import { strict as assert } from 'node:assert'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { compact, credits, duration, table } from '../../node/cli/output.ts'
import { createProgress } from '../../node/cli/progress.ts'

const progress = {
  job: 'a1',
  state: 'running' as const,
  done: 5,
  total: 10,
  workers: 2,
  retries: 0,
  elapsedMs: 1000,
  remainingMs: 61_000,
  paid: 1500000n
}

function stream(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = Object.assign(new PassThrough(), {
    isTTY,
    columns: 80,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true
  })
  let text = ''
  stream.on('data', chunk => {
    text += chunk
  })
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text }
}

describe('cli: output', () => {
  it('writes durations as people say them', () => {
    const cases: [number, string][] = [
      [0, '0 ms'],
      [999, '999 ms'],
      [1234, '1.2 s'],
      [61_000, '1 min 1 s'],
      [3_600_000, '1 h'],
      [3_660_000, '1 h 1 min'],
      [90_061_000, '1 d 1 h']
    ]
    for (const [ms, text] of cases) assert.equal(duration(ms), text)
  })

  it('writes counts that fit into a column', () => {
    const cases: [number, string][] = [
      [0, '0'],
      [3.24, '3.2'],
      [99_999, '99999'],
      [100_000, '100k'],
      [1_250_000, '1.3M'],
      [1e12, '1T']
    ]
    for (const [count, text] of cases) assert.equal(compact(count), text)
    fc.assert(fc.property(fc.nat(Number.MAX_SAFE_INTEGER), count => compact(count).length <= 8))
  })

  it('writes credits exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), micro => {
        const [whole, fraction = ''] = credits(micro).split('.')
        assert.equal(BigInt(whole + fraction.padEnd(6, '0')), micro)
      })
    )
  })

  it('lets nothing of a peer steer the terminal', () => {
    assert.ok(!table(['x'], [['\u001b[2J']]).includes('\u001b[2J'))
  })

  it('says on a terminal how fast a job is, how long it takes, who works and what it costs', () => {
    const { stream: terminal, text } = stream(true)
    const view = createProgress(terminal)
    view.update(progress)
    view.end()
    for (const part of ['50 % (5/10)', '5/s', '1 min 1 s left', '2 workers', '1.5 credits', '█', '░'])
      assert.ok(text().includes(part), `${part} in ${text()}`)
  })

  it('writes plain lines elsewhere, one per step', () => {
    const { stream: pipe, text } = stream(false)
    const view = createProgress(pipe)
    view.update({ ...progress, state: 'queued', done: 0, workers: 0 })
    for (let i = 0; i < 5; i++) view.update(progress)
    view.update({ ...progress, state: 'completed', done: 10 })
    view.end()
    const lines = text().trimEnd().split('\n')
    assert.deepEqual(
      lines.map(line => line.split(',')[0]),
      ['a1: queued', 'a1: running', 'a1: completed']
    )
    assert.match(lines[0]!, /waiting for a worker/)
    const waiting = { message: 'no worker can take it now: 1 refused (\u001b[2J)', unmet: [] }
    view.update({ ...progress, state: 'queued', workers: 0, waiting })
    assert.match(text(), /no worker can take it now: 1 refused/)
    assert.ok(!text().includes('\u001b') && !text().includes('█'))
  })
})
