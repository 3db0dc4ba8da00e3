import { parseArgs } from 'node:util'
import { fail, toJson } from '../cli/output.ts'
import { InputError } from '../errors.ts'
import { didYouMean } from '../suggest.ts'
import type { Demo } from './contract.ts'
import { openStage } from './stage.ts'

/** A demo is a file of this folder and a line here; it is loaded when it is played. */
const DEMOS: Record<string, () => Promise<Demo>> = {
  analyzer: async () => (await import('./analyzer.ts')).analyzer,
  assistant: async () => (await import('./assistant.ts')).assistant,
  browser: async () => (await import('./browser.ts')).browser,
  compute: async () => (await import('./compute.ts')).compute,
  data: async () => (await import('./data.ts')).data,
  deploy: async () => (await import('./deploy.ts')).deploy,
  devices: async () => (await import('./devices.ts')).devices,
  fleet: async () => (await import('./fleet.ts')).fleet,
  files: async () => (await import('./files.ts')).files,
  messenger: async () => (await import('./messenger.ts')).messenger,
  python: async () => (await import('./python.ts')).python,
  sas: async () => (await import('./sas.ts')).sas,
  tv: async () => (await import('./tv.ts')).tv,
  vm: async () => (await import('./vm.ts')).vm,
  watcher: async () => (await import('./watcher.ts')).watcher
}
const USUAL = 'compute'

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1
} catch (error) {
  fail(error as Error)
}

/**
 * Plays one demo. True only if it found everything right, and every process that it started ended by itself when
 * asked; then its folder is removed too.
 */
async function main([first, ...rest]: string[]): Promise<boolean> {
  const isNamed = first != null && !first.startsWith('-')
  const demo = await load(isNamed ? first : USUAL)
  const flags = parseFlags(demo, isNamed || first == null ? rest : [first, ...rest])
  if (flags.help) {
    process.stdout.write(await usage())
    return true
  }
  await using stage = await openStage()
  const played = await demo.run(stage, flags.own)
  const ended = await stage.end()
  const ok = played.right && ended
  if (ok) stage.succeeded()
  process.stdout.write(
    flags.json
      ? `${toJson({ ok, ...played.report, right: played.right, processesGone: ended })}\n`
      : `\n${played.text}\n\n${ok ? 'all right' : 'WRONG'}, processes ${ended ? 'all gone' : 'LEFT BEHIND'}\n`
  )
  return ok
}

async function load(name: string): Promise<Demo> {
  const names = Object.keys(DEMOS)
  if (!Object.hasOwn(DEMOS, name))
    throw new InputError(
      `there is no demo "${name}".${didYouMean(name, names)} There are: ${names.join(', ')}`
    )
  return DEMOS[name]!()
}

function parseFlags({ flags = {} }: Demo, args: string[]) {
  const own = Object.entries(flags).map(
    ([name, usual]) => [name, { type: 'string', default: usual }] as const
  )
  try {
    const { values } = parseArgs({
      args,
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        ...Object.fromEntries(own)
      }
    })
    const { json, help, ...others } = values as Record<string, unknown>
    return { json: json === true, help: help === true, own: others as Record<string, string> }
  } catch (error) {
    throw new InputError(`${(error as Error).message}; see: npm run demo -- --help`)
  }
}

async function usage(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(DEMOS).map(async ([name, loadDemo]) => {
      const { summary, flags = {} } = await loadDemo()
      const own = Object.entries(flags).map(([flag, usual]) => ` [--${flag} ${usual}]`)
      return `  ${name}${own.join('')}\n      ${summary}`
    })
  )
  return `npm run demo [-- NAME] [-- --json]; NAME is ${USUAL} if none is given:\n${lines.join('\n')}\n`
}
