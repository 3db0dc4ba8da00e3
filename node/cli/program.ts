import { Command } from 'commander'
import { EXIT } from '../errors.ts'
import { VERSION } from '../version.ts'
import { balanceCommand } from './balance.ts'
import { configCommand } from './config.ts'
import { doctorCommand } from './doctor.ts'
import { historyCommand } from './history.ts'
import { cancelCommand, jobCommand, jobsCommand, resultCommand } from './jobs.ts'
import { networkCommand } from './network.ts'
import { peersCommand } from './peers.ts'
import { receiptCommand } from './receipt.ts'
import { reputationCommand } from './reputation.ts'
import { runCommand } from './run.ts'
import { seedCommand, startCommand } from './start.ts'
import { transferCommand } from './transfer.ts'

const EXIT_CODES = `
Exit codes:
  0  done
  ${EXIT.internal}  our own mistake
  ${EXIT.usage}  a flag, setting, file or task spec is wrong
  ${EXIT.machine}  this machine: key file, data folder in use, port in use, missing wall
  ${EXIT.network}  nobody answers: no running node, no seed
  ${EXIT.job}  the task's own code failed
  ${EXIT.cancelled}  the job was cancelled or its time was over
  ${EXIT.credits}  not enough credits
  130  interrupted`

/** The whole command line; errors are thrown. */
export function createProgram(): Command {
  const program = new Command('artel')
    .description('A peer-to-peer compute node: lend spare CPU, run jobs on the machines of others.')
    .version(VERSION)
    .showSuggestionAfterError(true)
    .addHelpText('after', EXIT_CODES)
  for (const make of [
    startCommand,
    seedCommand,
    runCommand,
    jobsCommand,
    jobCommand,
    resultCommand,
    cancelCommand,
    peersCommand,
    balanceCommand,
    historyCommand,
    transferCommand,
    receiptCommand,
    reputationCommand,
    doctorCommand,
    networkCommand,
    configCommand
  ]) {
    program.addCommand(make())
  }
  throwErrors(program)
  return program
}

/** Commander's errors become exceptions of one line, on every level. */
function throwErrors(command: Command): void {
  command
    .exitOverride(error => {
      // help and version are no errors, and have been printed
      if (error.exitCode === 0) process.exit(0)
      error.message = `${error.message.replace(/\n\(?/g, ' ').replace(/\)$/, '')}; see: ${path(command)} --help`
      throw error
    })
    .configureOutput({ outputError: () => {} })
  for (const child of command.commands) throwErrors(child)
}

function path(command: Command): string {
  return command.parent == null ? command.name() : `${path(command.parent)} ${command.name()}`
}
