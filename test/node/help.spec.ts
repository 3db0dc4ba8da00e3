import { strict as assert } from 'node:assert'
import type { Command } from 'commander'
import { createProgram } from '../../node/cli/program.ts'
import { hasCommands } from '../../node/cli/service-commands.ts'
import { isFunctionFile } from '../../node/cli/spec-file.ts'
import { parseSpec } from '../../scheduler/index.ts'
import { compute, SERVICES, token } from '../../services/index.ts'

/** Commands that do something, with their full name. */
function leaves(command: Command, path = ''): [name: string, command: Command][] {
  const name = path === '' ? command.name() : `${path} ${command.name()}`
  const own: [string, Command][] =
    command.commands.length === 0 || command.name() === 'config' ? [[name, command]] : []
  return [...own, ...command.commands.flatMap(child => leaves(child, name))]
}

const helpOf = (command: Command): string => {
  let text = ''
  command.configureOutput({
    writeOut: chunk => {
      text += chunk
    }
  })
  command.outputHelp()
  return text
}

describe('cli: help', () => {
  it('has every command of the issue it was made for', () => {
    const names = createProgram().commands.map(command => command.name())
    const wanted =
      'start seed launch run map filter quote jobs job result cancel peers balance history transfer reputation receipt webhooks network doctor service services config completion update rollback release'
    const services = ['account', 'data', 'token', ...SERVICES.filter(hasCommands).map(({ name }) => name)]
    assert.deepEqual([...names].sort(), [...wanted.split(' '), ...services].sort())
  })

  it('has no command of a group without operations', () => {
    assert.equal(hasCommands({ operations: {} }), false)
    assert.equal(hasCommands(compute), false)
    assert.equal(hasCommands(token), true)
  })

  for (const [name, command] of leaves(createProgram())) {
    it(`of ${name} says what it does, with examples that start with it`, () => {
      const help = helpOf(command)
      assert.ok(command.description().length > 10)
      const [, examples = ''] = help.split('\nExamples:\n')
      const lines = examples.split('\n').filter(line => line.startsWith('  '))
      assert.ok(lines.length > 0, 'it has examples')
      assert.ok(
        lines.some(line => line.includes(name)),
        `${name} in ${lines.join('\n')}`
      )
      for (const argument of command.registeredArguments)
        assert.ok(
          argument.description !== '' || argument.argChoices != null || command.name() === 'help',
          `${argument.name()} is explained`
        )
    })

    it(`of ${name} shows functions that run`, () => {
      for (const [, fn] of helpOf(command).matchAll(/artel (?:map|filter) '([^']+)'/g))
        if (!isFunctionFile(fn!)) assert.doesNotThrow(() => parseSpec({ type: 'map', items: [], fn }), fn)
    })

    it(`of ${name} has JSON, colours off and stacks`, () => {
      const flags = command.options.map(({ long }) => long)
      assert.ok(flags.includes('--no-color') && flags.includes('--verbose'))
      // a script for a shell is no document, nor is a prompt: programs use `artel vm exec`
      if (name !== 'artel completion' && name !== 'artel vm shell')
        assert.ok(flags.includes('--json'), '--json')
    })
  }
})
