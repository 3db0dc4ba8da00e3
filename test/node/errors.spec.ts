import { strict as assert } from 'node:assert'
import { glob, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { EXIT_MEANINGS } from '../../node/cli/program.ts'
import { EXIT, VERDICTS, verdict } from '../../node/index.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Errors that never leave their room: they end as a refused message or order of somebody else, a failure of a job, or an answer in OpenAI's words. */
const INTERNAL = [
  'ProtocolError',
  'MalformedError',
  'InvalidOrderError',
  'StepFailedError',
  'DamagedJobError',
  'FrameError',
  'AssistantError',
  'StreamError',
  'BotError'
]

describe('node: table of errors', () => {
  it('knows every error class of every room', async () => {
    const names = new Set<string>()
    for await (const file of glob('{bootstrap,sandbox,ledger,scheduler,services,node}/**/errors.ts', {
      cwd: ROOT
    })) {
      const text = await readFile(`${ROOT}${file}`, 'utf8')
      for (const [, name] of text.matchAll(/name(?:: string)? = '(\w+)'/g)) names.add(name!)
    }
    assert.ok(names.size > 15, `${names.size} found`)
    const missing = [...names].filter(name => !VERDICTS.has(name) && !INTERNAL.includes(name))
    assert.deepEqual(missing, [])
  })

  it('gives an exit code that shells can tell apart, and an HTTP error status', () => {
    for (const [name, { exit, status }] of VERDICTS) {
      assert.ok(Object.values(EXIT).includes(exit as never), name)
      assert.ok(status >= 400 && status < 600, name)
    }
  })

  it('takes what it does not know for our own mistake', () => {
    assert.deepEqual(verdict(new TypeError('x')), { exit: 1, status: 500 })
    assert.deepEqual(verdict({ name: 'toString' }), { exit: 1, status: 500 })
  })

  it('is documented', async () => {
    const readme = await readFile(`${ROOT}node/README.md`, 'utf8')
    const [, table = ''] = /\n## Exit codes\n[\s\S]*?\n\|[- |]+\|\n([\s\S]*?)\n\n/.exec(readme) ?? []
    const rows = table.split('\n').map(row => row.split('|').map(cell => cell.trim()))
    assert.deepEqual(
      rows.map(([, code, meaning]) => [Number(code), meaning]),
      EXIT_MEANINGS
    )
    assert.deepEqual(
      EXIT_MEANINGS.map(([code]) => code),
      [0, ...Object.values(EXIT)]
    )
  })
})
