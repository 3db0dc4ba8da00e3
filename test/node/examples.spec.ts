import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Processes } from './processes.ts'

describe('node: examples', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
    await processes.start('start', 'node', ['--gateway-enabled', 'true', '--gateway-port', '0']).ready
  })
  after(() => processes.stop())

  const run = promisify(execFile)
  async function example(name: string, ...args: string[]): Promise<string> {
    const file = fileURLToPath(new URL(`../../node/examples/${name}`, import.meta.url))
    const env = { PATH: process.env.PATH, HOME: processes.folder, ARTEL_DATA: processes.path('node') }
    return (await run(process.execPath, [file, ...args], { env })).stdout
  }

  it('primes', async () => {
    assert.equal(await example('primes.ts', '1000000'), '78498 primes up to 1000000\n')
  })

  it('word-count', async () => {
    const file = processes.path('text')
    await writeFile(file, 'The cat and the dog.\nA dog!\n')
    assert.equal(await example('word-count.ts', file), '2 dog\n1 cat\n')
  })

  it('quote', async () => {
    assert.match(await example('quote.ts'), /^about .* credits, at most 0\.5 .*\npi is about 3\.14/)
  })

  it('job.js', async () => {
    const file = fileURLToPath(new URL('../../node/examples/job.js', import.meta.url))
    const { stdout, stderr } = await processes.run(['run', file, '--quiet', '--data', processes.path('node')])
    assert.equal(JSON.parse(stdout)[11], 'F(120) = 5358359254990966640871840', stderr)
  })
})
