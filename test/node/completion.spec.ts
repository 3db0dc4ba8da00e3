import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import { createProgram } from '../../node/cli/program.ts'

const run = promisify(execFile)

const written = (shell: string): string => {
  const program = createProgram()
  const { write } = process.stdout
  let text = ''
  process.stdout.write = (chunk: string | Uint8Array) => {
    text += chunk
    return true
  }
  try {
    program.parse(['node', 'artel', 'completion', shell])
  } finally {
    process.stdout.write = write
  }
  return text
}

describe('cli: completion', () => {
  for (const shell of ['bash', 'zsh', 'fish'])
    it(`of ${shell} knows every command and every flag`, () => {
      const script = written(shell)
      const check = (command: Command): void => {
        for (const { long } of command.options) assert.ok(script.includes(long!.slice(2)), long)
        for (const child of command.commands) {
          assert.ok(script.includes(child.name()), child.name())
          check(child)
        }
      }
      check(createProgram())
    })

  it('works in bash: commands, their commands, choices, flags, files', async () => {
    const script = written('bash')
    const complete = async (...words: string[]): Promise<string[]> => {
      const quoted = words.map(word => `'${word}'`).join(' ')
      const { stdout } = await run('bash', [
        '--norc',
        '-c',
        `${script}\ncd /\nCOMP_WORDS=(artel ${quoted}); COMP_CWORD=${words.length}; _artel; printf '%s\\n' "\${COMPREPLY[@]}"`
      ])
      return stdout.split('\n').filter(Boolean)
    }
    assert.deepEqual((await complete('re')).sort(), ['receipt', 'release', 'reputation', 'result'])
    assert.deepEqual(await complete('receipt', 's'), ['show'])
    assert.deepEqual(await complete('jobs', '--state', 'c'), ['completed', 'cancelled'])
    assert.deepEqual(await complete('completion', 'f'), ['fish'])
    assert.deepEqual((await complete('network', 'create', '--wit')).sort(), ['--with-seed', '--witness'])
    assert.deepEqual(await complete('balance', '--data', 'et'), ['etc'])
    assert.deepEqual(await complete('run', 'et'), ['etc'])
  })
})
