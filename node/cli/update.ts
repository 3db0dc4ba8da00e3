import { resolve } from 'node:path'
import { Command } from 'commander'
import type { Patience, Program } from '../../services/index.ts'
import { EXIT } from '../errors.ts'
import { configOf, someFlags, wholeNumber } from './flags.ts'
import { type OutputOptions, print } from './output.ts'

type Options = OutputOptions & Patience & Record<string, unknown>

const load = () => import('./change-program.ts')

export function updateCommand(): Command {
  return patient(common(new Command('update')))
    .description('put a signed release in the place of this program; back by itself where it does not work')
    .argument('<file>', 'the packed release; its signature is FILE.sig')
    .addHelpText(
      'after',
      `
The node starts as it, with its doors shut: nobody reaches it, and nothing leaves this machine, until it is known to
work. One that ends, hangs or is not well after 10 s is taken back, with the databases as they were. Exit code ${EXIT.machine} then.

Examples:
  artel update artel-1.2.0.tgz
  artel release show
  artel rollback`
    )
    .action((file: string, options: Options) =>
      change(options, updates => updates.update({ path: resolve(file), ...patienceOf(options) }))
    )
}

export function rollbackCommand(): Command {
  return patient(common(new Command('rollback')))
    .description('go back to the program that ran before, with the data as it is')
    .addHelpText(
      'after',
      `
Nothing that was written since is lost: where the older program cannot read it, the newer one goes on and says so.

Examples:
  artel rollback`
    )
    .action((options: Options) => change(options, updates => updates.rollback(patienceOf(options))))
}

export function releaseCommand(): Command {
  const command = new Command('release').description('which program runs, and whose releases are good')
  command.addCommand(
    common(new Command('show'))
      .description('which program runs, and what became of the last that was tried')
      .addHelpText('after', '\nExamples:\n  artel release show')
      .action(async (options: Options) => {
        const updates = await (await load()).createLocal(configOf(options))
        print(await updates.program(), options, describe)
      })
  )
  command.addCommand(
    common(new Command('sign'))
      .description('say with the key of this node that a packed release is good')
      .argument('<file>', 'the packed release; its signature goes to FILE.sig')
      .addHelpText(
        'after',
        `
Other nodes take it where their setting releaseSigners has the id of this one.

Examples:
  artel release sign artel-1.2.0.tgz`
      )
      .action(async (file: string, options: Options) => {
        const signed = await (await load()).sign(configOf(options), resolve(file))
        print(signed, options, ({ version, by }) => `${file}.sig: version ${version} is good, says ${by}`)
      })
  )
  return command
}

const common = (command: Command): Command =>
  someFlags(command, ['data', 'releaseSigners']).option('--json', 'print JSON')
const patient = (command: Command): Command =>
  command
    .option('--start-seconds <n>', 'in which it must have started', wholeNumber('--start-seconds', 3600), 30)
    .option(
      '--health-seconds <n>',
      'after which its services must be well',
      wholeNumber('--health-seconds', 3600),
      10
    )
const patienceOf = ({ startSeconds, healthSeconds }: Patience): Patience => ({ startSeconds, healthSeconds })

async function change(
  options: Options,
  ask: Parameters<Awaited<ReturnType<typeof load>>['change']>[1]
): Promise<void> {
  const { before, after } = await (await load()).change(configOf(options), ask)
  print(after == null ? before : { before, after }, options, () =>
    after == null
      ? `${before.trial} is tried at the next start of this node`
      : [`before: ${describe(before)}`, `after:  ${describe(after)}`].join('\n')
  )
  process.exit(after?.failed == null ? 0 : EXIT.machine)
}

function describe({ version, former, trial, failed }: Program): string {
  return [
    `${version} runs`,
    ...(trial == null ? [] : [`${trial} is on trial`]),
    ...(former == null ? [] : [`a rollback goes to ${former}`]),
    ...(failed == null ? [] : [`${failed.version} does not work: ${failed.why}`])
  ].join('; ')
}
