import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import {
  bytes,
  type CommandPlace,
  type Field,
  fieldsOf,
  fromText,
  type Group,
  type Operation,
  type Shell,
  toWire
} from '../../services/index.ts'
import { InputError } from '../errors.ts'
import { confirm } from './confirm.ts'
import { configOf } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import { print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

/** Whether the command line can ask for it: one whose body or answer is bytes is HTTP's. */
const isCommand = ({ command, http, output }: Operation): boolean =>
  command !== false && http.body !== 'bytes' && output !== bytes

/** Groups of operations that have a command. */
export const hasCommands = ({ operations }: Pick<Group, 'operations'>): boolean =>
  Object.values(operations).some(isCommand)

/** `artel <group> <operation>`, as its operations say. */
export function groupCommand(group: Group): Command {
  const command = new Command(group.name).description(group.summary)
  for (const [name, operation] of Object.entries(group.operations))
    if (isCommand(operation)) command.addCommand(operationCommand(group.name, name, operation))
  for (const [name, operation] of Object.entries(group.operations))
    if (operation.command !== false && operation.command?.shell != null)
      command.addCommand(shellCommand(group.name, name, operation, operation.command))
  return command
}

/** A prompt that calls one operation; its other fields are flags. */
function shellCommand(service: string, name: string, operation: Operation, place: CommandPlace): Command {
  const command = nodeCommand(
    'shell',
    `a prompt; without a terminal it takes a command of "${service} ${name}" a line`
  )
  const flags = fieldsOf(operation.input).filter(field => !place.arguments?.includes(field.name))
  for (const field of flags) command.addOption(optionOf(field))
  command.addHelpText(
    'after',
    `\nExamples:\n  artel ${service} shell\n  artel ${service} shell < commands.txt`
  )
  return command.action((options: NodeOptions) =>
    runShell(place.shell!, service, name, inputOf(flags, options), options)
  )
}

/** @param given what the user said, beside what the shell says */
function runShell(
  load: () => Promise<Shell>,
  service: string,
  name: string,
  given: Record<string, unknown>,
  options: NodeOptions
): Promise<void> {
  return withNode(options, async (node, signal) =>
    (await load())(
      {
        input: process.stdin,
        output: process.stdout,
        historyFile: join(configOf(options).data, 'services', service, 'shell-history'),
        environment: process.env,
        signal
      },
      (input, ended) =>
        node.call(
          { service, operation: name, input: { ...input, ...given } },
          { signal: ended }
        ) as Promise<never>
    )
  )
}

function operationCommand(service: string, name: string, operation: Operation): Command {
  const { summary, input, command: place } = operation
  const {
    arguments: inOrder = [],
    examples = [exampleOf(service, name, place)],
    show,
    exit,
    local,
    onTerminal,
    confirm: question
  } = place === false ? {} : (place ?? {})
  const fields = fieldsOf(input)
  const byName = new Map(fields.map(field => [field.name, field]))
  const command = nodeCommand(kebab((place !== false && place?.name) || name), lower(summary))
  for (const argument of inOrder) {
    const { type, isRequired, description } = byName.get(argument)!
    const shown = `${kebab(argument)}${type === 'list' ? '...' : ''}`
    command.argument(
      isRequired ? `<${shown}>` : `[${shown}]`,
      description || `the ${kebab(argument).replaceAll('-', ' ')}`
    )
  }
  for (const field of fields) if (!inOrder.includes(field.name)) command.addOption(optionOf(field))
  command.option('--json', 'print JSON')
  if (question != null) command.option('--yes', 'do not ask')
  if (examples.length > 0)
    command.addHelpText('after', `\nExamples:\n${examples.map(example => `  artel ${example}`).join('\n')}`)
  return command.action((...given: unknown[]) => {
    const options = given[inOrder.length] as NodeOptions
    const values = Object.fromEntries([
      ...fields.map(({ name: field }) => [field, options[field]]),
      ...inOrder.map((argument, i) => [argument, given[i]])
    ])
    const request = inputOf(fields, values)
    const tell = (answer: unknown) => {
      const shown: unknown = JSON.parse(toWire(answer))
      print(shown, options, () => (show == null ? describe(shown) : show(answer as never)))
      return exit?.(answer as never)
    }
    if (local != null)
      return untilInterrupted(
        async () => tell(operation.output.parse(await local(input.parse(request) as never))) ?? 0
      )
    const shell = isTerminal(options) ? onTerminal?.(request as never) : undefined
    if (shell != null) return runShell(() => shell, service, name, request, options)
    return withNode(options, async (node, signal) => {
      if (question != null)
        await confirm(question(input.parse(request) as never), options as { yes?: boolean }, signal)
      const onProgress = (progress: unknown): void => void process.stderr.write(`${toWire(progress)}\n`)
      const follow = operation.progress != null && process.stderr.isTTY ? { onProgress } : {}
      const answer = await node.call({ service, operation: name, input: request }, { signal, ...follow })
      return tell(answer)
    })
  })
}

/** Somebody sits there, and has not asked for an answer to be read by a program. */
const isTerminal = (options: NodeOptions): boolean =>
  (options as { json?: boolean }).json !== true && process.stdin.isTTY && process.stdout.isTTY

/** Where none is given: the command with its arguments. */
function exampleOf(service: string, name: string, place: Operation['command']): string {
  const { arguments: inOrder = [], name: word = name } = place === false ? {} : (place ?? {})
  return [service, kebab(word), ...inOrder.map(argument => kebab(argument).toUpperCase())].join(' ')
}

function optionOf({ name, type, choices, description, default: usual, isRequired }: Field): Option {
  const value = type === 'boolean' ? '[true|false]' : `<${type === 'list' ? 'value' : type}>`
  const option = new Option(
    `--${kebab(name)} ${value}`,
    `${description}${usual === undefined ? '' : ` (default: ${JSON.stringify(usual)})`}`
  )
  if (choices != null) option.choices(choices)
  if (type === 'boolean') option.preset('true')
  if (type === 'list')
    option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
  return option.makeOptionMandatory(isRequired && type !== 'boolean')
}

function inputOf(fields: readonly Field[], values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    fields
      .map(field => [field.name, read(field, values[field.name])])
      .filter(([, value]) => value !== undefined)
  )
}

const read = (field: Field, value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(item => fromText({ type: field.items ?? 'string' }, item as string))
    : typeof value === 'string'
      ? fromText(field, given(field, value))
      : value

/** The node stands in another folder, and may not read what its owner may. */
function given({ name, isPath, isFile }: Field, value: string): string {
  if (isPath === true) return resolve(value)
  if (isFile !== true) return value
  try {
    return readFileSync(value, 'utf8')
  } catch (error) {
    throw new InputError(`${name}: cannot read ${value} (${(error as Error).message})`)
  }
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
const lower = (summary: string): string => summary.charAt(0).toLowerCase() + summary.slice(1)

/** What holds rows is a table; what holds fields, a line for each. */
function describe(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return answer == null ? 'done' : String(answer)
  const entries = Object.entries(answer)
  const [[, only] = []] = entries
  if (Array.isArray(answer)) return rows(answer)
  if (entries.length === 1 && Array.isArray(only)) return rows(only)
  return entries.length === 0
    ? 'done'
    : table(
        ['', ''],
        entries.map(([key, value]) => [key, cell(value)])
      )
}

function rows(items: readonly unknown[]): string {
  if (items.length === 0) return 'nothing'
  const isRow = (item: unknown): item is Record<string, unknown> => typeof item === 'object' && item !== null
  if (!items.every(isRow)) return items.map(cell).join('\n')
  const head = [...new Set(items.flatMap(item => Object.keys(item)))]
  return table(
    head,
    items.map(item => head.map(key => cell(item[key])))
  )
}

const cell = (value: unknown): string =>
  value == null ? '-' : typeof value === 'object' ? JSON.stringify(value) : String(value)
