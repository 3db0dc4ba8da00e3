import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Command } from 'commander'
import { confirm } from './confirm.ts'
import { configOf, someFlags } from './flags.ts'
import { type OutputOptions, print } from './output.ts'

type Options = OutputOptions & { yes?: boolean } & Record<string, unknown>

const UNIT = 'artel.service'
const SYSTEMCTL_MS = 60_000
const ARTEL = fileURLToPath(new URL('./artel.js', import.meta.url))
/** What systemctl --user is told. */
const INSTALL = [['daemon-reload'], ['enable', '--now', UNIT]]
const DISABLE = [['disable', '--now', UNIT]]
/** of a unit whose file is gone */
const FORGET = [['stop', UNIT], ['daemon-reload']]

export function serviceCommand(): Command {
  const command = new Command('service').description('run the node of this user whenever the machine runs')
  command.addCommand(install())
  command.addCommand(uninstall())
  command.addCommand(status())
  return command
}

function install(): Command {
  return common(new Command('install').description('write a systemd unit of this user, and start the node'))
    .option('--yes', 'replace a unit that says something else')
    .addHelpText(
      'after',
      `
The node takes its settings from the data folder: artel config set. artel service uninstall undoes it.

Examples:
  artel service install
  artel config set seeds ADDRESS && artel service install
  artel service install --data /srv/artel`
    )
    .action(async (options: Options) => {
      const unit = unitFile()
      const text = unitText({ node: process.execPath, artel: ARTEL, data: configOf(options).data })
      const before = await read(unit)
      if (before != null && before !== text)
        await confirm(`${unit} says something else; this replaces it.`, options)
      await mkdir(dirname(unit), { recursive: true })
      await writeFile(unit, text)
      const did = await systemctl(INSTALL)
      print({ unit, ...did }, options, () =>
        [
          `wrote ${unit}`,
          ...describe(did, 'the node runs, and starts with your next login'),
          'to run it also while you are not logged in: sudo loginctl enable-linger $USER',
          'what it says: journalctl --user --unit artel; undo: artel service uninstall'
        ].join('\n')
      )
    })
}

function uninstall(): Command {
  return common(
    new Command('uninstall').description('stop the node and remove its unit; the data folder stays'),
    []
  )
    .addHelpText('after', '\nExamples:\n  artel service uninstall')
    .action(async (options: Options) => {
      const unit = unitFile()
      if ((await read(unit)) == null) {
        print({ unit, isInstalled: false }, options, () => `${unit} is not there; nothing was done`)
        return
      }
      await systemctl(DISABLE)
      for (const file of [unit, join(dirname(unit), 'default.target.wants', UNIT)])
        await rm(file, { force: true })
      const did = await systemctl(FORGET)
      print({ unit, ...did }, options, () =>
        [
          `removed ${unit}; undo: artel service install`,
          ...describe(did, 'the node is stopped; its data folder stays')
        ].join('\n')
      )
    })
}

function status(): Command {
  return common(
    new Command('status').description('whether the unit is there, and whether systemd runs it'),
    []
  )
    .addHelpText('after', '\nExamples:\n  artel service status\n  artel service status --json | jq .state')
    .action(async (options: Options) => {
      const unit = unitFile()
      const isInstalled = (await read(unit)) != null
      const { stdout, missing } = await ask(['is-active', UNIT])
      const state = missing ?? (stdout.trim() || 'unknown')
      print({ unit, isInstalled, state }, options, () =>
        isInstalled ? `${unit}\n${UNIT}: ${state}` : `not installed; artel service install writes ${unit}`
      )
    })
}

function common(command: Command, settings = ['data']): Command {
  return someFlags(command, settings).option('--json', 'print JSON')
}

/** Where systemd looks for the units of this user. */
function unitFile(): string {
  const config = process.env.XDG_CONFIG_HOME
  return join(config != null && config !== '' ? config : join(homedir(), '.config'), 'systemd/user', UNIT)
}

/** The unit of a user's node. The walls are namespaces: nothing here may forbid them. */
export function unitText({ node, artel, data }: { node: string; artel: string; data: string }): string {
  const command = [node, artel, 'start', '--json', '--data', data].map(quoted).join(' ')
  return `# written by: artel service install
[Unit]
Description=Artel node of a user
StartLimitIntervalSec=10min
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${command}
Restart=on-failure
RestartSec=10
# a wrong setting or a machine that is not ready is not mended by another start
RestartPreventExitStatus=2 3
KillMode=mixed
TimeoutStopSec=30
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=default.target
`
}

/** A word of ExecStart: quotes and backslashes as in C, no specifiers, no variables. */
function quoted(word: string): string {
  const escaped = JSON.stringify(word).replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^"[\w@/.:+-]+"$/.test(escaped) ? word : escaped
}

interface Did {
  /** what systemd was told */
  ran: string[]
  /** what is left to do by hand, and why */
  toRun: string[]
  reason?: string
}

/** Tells the systemd of this user; where that cannot be, what would have to be told. */
async function systemctl(commands: string[][]): Promise<Did> {
  const ran: string[] = []
  for (const [index, args] of commands.entries()) {
    const { missing } = await ask(args)
    if (missing != null) return { ran, toRun: commands.slice(index).map(lineOf), reason: missing }
    ran.push(lineOf(args))
  }
  return { ran, toRun: [] }
}

const lineOf = (args: string[]): string => `systemctl --user ${args.join(' ')}`

function describe({ ran, toRun, reason }: Did, done: string): string[] {
  const did = ran.map(line => `ran ${line}`)
  return toRun.length === 0
    ? [...did, done]
    : [...did, `systemd could not be told (${reason}); run yourself:`, ...toRun.map(line => `  ${line}`)]
}

/** `missing`: why there is no answer. is-active answers with an exit code, and says the state all the same. */
async function ask(args: string[]): Promise<{ stdout: string; missing?: string }> {
  try {
    return await promisify(execFile)('systemctl', ['--user', ...args], { timeout: SYSTEMCTL_MS })
  } catch (error) {
    const { code, stdout = '', stderr = '', message } = error as Error & Record<string, string>
    if (code === 'ENOENT') return { stdout: '', missing: 'there is no systemctl' }
    if (stdout.trim() !== '' && args[0] === 'is-active') return { stdout }
    return { stdout: '', missing: stderr.trim().split('\n')[0] || message }
  }
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
