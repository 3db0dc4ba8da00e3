import { Command } from 'commander'
import { type Group, OWN_GROUPS, SERVICES } from '../../services/index.ts'
import { EXIT } from '../errors.ts'
import { VERSION } from '../version.ts'
import { balanceCommand } from './balance.ts'
import { COMPLETION, completionCommand } from './completion.ts'
import { configCommand } from './config.ts'
import { doctorCommand } from './doctor.ts'
import type { Words } from './flags.ts'
import { historyCommand } from './history.ts'
import { cancelCommand, jobCommand, jobsCommand, resultCommand } from './jobs.ts'
import { launchCommand } from './launch.ts'
import { filterCommand, mapCommand } from './map.ts'
import { networkCommand } from './network.ts'
import { peersCommand } from './peers.ts'
import { quoteCommand } from './quote.ts'
import { receiptCommand } from './receipt.ts'
import { reputationCommand } from './reputation.ts'
import { runCommand } from './run.ts'
import { serviceCommand } from './service.ts'
import { groupCommand, hasCommands } from './service-commands.ts'
import { servicesCommand } from './services.ts'
import { seedCommand, startCommand } from './start.ts'
import { transferCommand } from './transfer.ts'
import { releaseCommand, rollbackCommand, updateCommand } from './update.ts'
import { webhooksCommand } from './webhooks.ts'

/** What each exit code means, in the order of the table in node/README.md; a test compares. */
export const EXIT_MEANINGS: [code: number, meaning: string][] = [
  [0, 'done'],
  [EXIT.internal, 'our own mistake'],
  [EXIT.usage, 'a flag, setting, file or task spec is wrong, or nobody said yes'],
  [EXIT.machine, 'this machine: key file, data folder in use, port in use, missing wall'],
  [EXIT.network, 'nobody answers: no running node, no seed'],
  [EXIT.job, "the task's own code failed"],
  [EXIT.cancelled, 'the job was cancelled or its time was over'],
  [EXIT.credits, 'not enough credits'],
  [EXIT.interrupted, 'interrupted']
]

const AFTER_HELP = `
Examples:
  artel seed                                    found a network on this machine
  artel start --seed ADDRESS                    join it, lend the CPU, open the dashboard
  artel run job.json --seed ADDRESS             run a job
  seq 1 100 | artel map 'x => x * x'            the same function over every line

Exit codes:
${EXIT_MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(3)}  ${meaning}`).join('\n')}`

/** Makes one; `words` are those of the command line. */
type Make = (words: Words) => Command

const GROUPS: [title: string, commands: Make[]][] = [
  [
    'Nodes:',
    [
      startCommand,
      seedCommand,
      launchCommand,
      doctorCommand,
      networkCommand,
      configCommand,
      serviceCommand,
      updateCommand,
      rollbackCommand,
      releaseCommand
    ]
  ],
  [
    'Jobs:',
    [
      runCommand,
      mapCommand,
      filterCommand,
      quoteCommand,
      jobsCommand,
      jobCommand,
      resultCommand,
      cancelCommand,
      receiptCommand,
      webhooksCommand
    ]
  ],
  [
    'Network and credits:',
    [peersCommand, servicesCommand, balanceCommand, historyCommand, transferCommand, reputationCommand]
  ],
  ['People and programs:', commandsOf(OWN_GROUPS)],
  ['Services:', commandsOf(SERVICES)],
  ['Shell:', [completionCommand]]
]

/** What nobody asks for has its name only: the flags of all operations together are 4,000 schemas, and 8 MB for good. */
function commandsOf(groups: readonly Group[]): Make[] {
  return groups
    .filter(hasCommands)
    .map(
      group => words =>
        words == null || words.includes(group.name) || words.includes(COMPLETION)
          ? groupCommand(group)
          : new Command(group.name).description(group.summary)
    )
}

/**
 * The whole command line; errors are thrown.
 *
 * @param words what was typed: flags and subcommands of what it does not name are left out. Default: all are there
 */
export function createProgram(words?: Words): Command {
  const program = new Command('artel')
    .description('A peer-to-peer compute node: lend spare CPU, run jobs on the machines of others.')
    .version(VERSION)
    .showSuggestionAfterError(true)
    .addHelpText('after', AFTER_HELP)
  for (const [title, commands] of GROUPS) {
    program.commandsGroup(title)
    for (const make of commands) program.addCommand(make(words))
  }
  program.addHelpCommand(new Command('help').argument('[command]').description('help for a command'))
  commonOptions(program)
  throwErrors(program)
  return program
}

/** What every command takes. Colours themselves are decided by picocolors, which reads flag and NO_COLOR. */
function commonOptions(command: Command): void {
  command.option('--no-color', 'no colours; the variable NO_COLOR does the same')
  command.option('--verbose', 'errors with their stack')
  for (const child of command.commands) commonOptions(child)
}

/** Commander's errors become exceptions of one line, on every level. */
function throwErrors(command: Command): void {
  command
    .exitOverride(error => {
      // help and version are no errors, and have been printed
      if (error.exitCode === 0) process.exit(0)
      error.message = `${error.message.replace(/\n\(?/g, '. ').replace(/\)?\.?$/, '')}; see: ${path(command)} --help`
      throw error
    })
    .configureOutput({ outputError: () => {} })
  for (const child of command.commands) throwErrors(child)
}

function path(command: Command): string {
  return command.parent == null ? command.name() : `${path(command.parent)} ${command.name()}`
}
