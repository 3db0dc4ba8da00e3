import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

describe('house: several test files at a time', () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'artel-reporter-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs files of these contents as npm test does. */
  function run(...bodies: string[]) {
    const files = bodies.map((_, i) => join(folder, `${i}.spec.ts`))
    files.forEach((file, i) => {
      writeFileSync(file, `describe('${i}', () => { ${bodies[i]} })`)
    })
    const { status, stdout } = spawnSync(
      join('node_modules', '.bin', 'mocha'),
      ['--parallel', '--jobs=2', '--reporter=test/reporter.ts', ...files],
      { encoding: 'utf8' }
    )
    return { status, lines: stdout.trim().split('\n'), files }
  }

  it('end with one line that counts all of them', () => {
    const { status, lines } = run("it('a', () => {}); it('b', () => {})", "it('c', () => {})")
    assert.equal(lines.at(-1), '3 passed, 0 failed')
    assert.equal(status, 0)
  })

  it('fail when a test fails, and when a process ends before its tests do', () => {
    const { status, lines, files } = run(
      "it('a', () => {}); it('b', () => { throw new Error('wrong') })",
      "it('c', () => { process.exit(0) })",
      "it('d', () => { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}) })"
    )
    assert.equal(lines.at(-1), '1 passed, 3 failed')
    assert.equal(status, 3)
    for (const file of files.slice(1)) assert.ok(lines.includes(`no test of ${file} ended`))
  })
})
