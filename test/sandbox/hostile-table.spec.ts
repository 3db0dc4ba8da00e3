import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeValue, ProgramError, SandboxUnavailableError, type Session } from '../../sandbox/index.ts'
import { judge, summary, type Verdict } from './hostile-verdict.ts'

const HOSTILE = fileURLToPath(new URL('hostile.ts', import.meta.url))
const PROGRAMS = {
  'answers.js': 'return 1',
  'loops.js': 'for (;;);',
  'module.mjs': 'export default () => 1',
  'no-program.js': 'this is no ( program',
  'throws.cjs': 'require("node:fs")'
}

describe('npm run hostile', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-hostile-'))
    for (const [file, text] of Object.entries(PROGRAMS)) await writeFile(join(folder, file), text)
  })
  after(() => rm(folder, { recursive: true }))

  const run = (...args: string[]) =>
    new Promise<{ code: unknown; stdout: string }>(resolve =>
      execFile(
        process.execPath,
        ['--no-node-snapshot', HOSTILE, folder, '--timeout', '2500', ...args],
        (error, stdout) => resolve({ code: error?.code ?? 0, stdout })
      )
    )

  it('tells programs that did not parse from those that passed, and how these ended, several at a time', async () => {
    const { code, stdout } = await run('--jobs', '2', '--json')
    const verdicts = (JSON.parse(stdout) as Verdict[]).map(({ file, verdict, detail }) => [
      file,
      verdict,
      verdict === 'passed' ? detail : ''
    ])
    assert.deepEqual(verdicts, [
      ['answers.js', 'passed', 'answered'],
      ['loops.js', 'passed', 'timeout'],
      ['module.mjs', 'passed', 'answered'],
      ['no-program.js', 'did not parse', ''],
      ['throws.cjs', 'passed', 'threw']
    ])
    assert.equal(code, 0)
  })

  it('closes with a table', async () => {
    const { stdout } = await run()
    const rows = stdout
      .trimEnd()
      .split('\n')
      .slice(-5)
      .map(line => line.trim())
    assert.match(rows[0]!, /^programs +how they ended$/)
    assert.match(rows[1]!, /^passed +4 +(?=.*answered 2)(?=.*timeout 1)(?=.*threw 1)/)
    assert.match(rows[2]!, /^did not parse +1$/)
    assert.match(rows[3]!, /^did not start +0$/)
    assert.match(rows[4]!, /^TRIPPED +0$/)
  })

  it('tells children that did not start and real trips from both', async () => {
    const bait = { file: '', folder: '', port: 1, variable: '' }
    const program = { file: 'a.js', source: 'x' }
    const quiet = { bait, trips: () => [] }
    const answers = async () =>
      ({
        run: async () => [{ ok: true, value: encodeValue(1), ms: 1 }],
        close: async () => {}
      }) as unknown as Session
    const fails = (error: Error) => async () => Promise.reject(error)
    const verdicts = [
      await judge(program, quiet, answers),
      await judge(program, quiet, fails(new SandboxUnavailableError('no room'))),
      await judge(program, quiet, fails(new ProgramError('what is this'))),
      await judge(program, { bait, trips: seen => (seen === '' ? [] : ['the port was reached']) }, answers)
    ]
    assert.deepEqual(
      verdicts.map(({ verdict, detail }) => [verdict, detail]),
      [
        ['passed', 'answered'],
        ['did not start', 'no room'],
        ['did not parse', 'task: what is this'],
        ['TRIPPED', 'the port was reached']
      ]
    )
    assert.deepEqual(
      summary(verdicts).map(([verdict, programs]) => [verdict, programs]),
      [
        ['passed', 1],
        ['did not parse', 1],
        ['did not start', 1],
        ['TRIPPED', 1]
      ]
    )
  })
})
