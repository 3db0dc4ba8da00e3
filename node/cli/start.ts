import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import type { Logger } from 'pino'
import { networkId } from '../../bootstrap/index.ts'
import { shutWayOut } from '../../bootstrap/way-out.ts'
import { slots } from '../../services/index.ts'
import type { ArtelNode, NodeRole } from '../contract.ts'
import { serveControl } from '../control.ts'
import { createLogger, openLogFile } from '../logger.ts'
import { createOperations } from '../operations.ts'
import type { Config } from '../settings.ts'
import { VERSION } from '../version.ts'
import { configFileOf, configOf, settingFlags, type Words } from './flags.ts'
import { aborted, untilInterrupted } from './lifecycle.ts'
import { type OutputOptions, print } from './output.ts'
import { parseRunAs, type RunAs, runAgain, type TrialNews } from './run-as.ts'
import { collectStart, growWhileBusy } from './young-generation.ts'

/** Where a seed listens unless told: others have to know the port. */
const SEED_LISTEN = ['/ip4/127.0.0.1/tcp/4411']
/** Who asked for another program has his answer by then. */
const ANSWER_MS = 300
/** How often a release on trial says how it is. */
const NEWS_MS = 500

export function startCommand(words: Words): Command {
  return command('start', 'start a node of a network', 'node', words).addHelpText(
    'after',
    `
Told of no network, it founds one of its own, which others can join.

Examples:
  artel start                                                 this machine alone, until others join it
  artel start --seed /ip4/192.0.2.7/tcp/4411/p2p/12D3KooW…    join the network of a seed
  artel start --network network.json --listen /ip4/0.0.0.0/tcp/4000
  ARTEL_LOG_LEVEL=debug artel start --compute false           a node that only submits`
  )
}

export function seedCommand(words: Words): Command {
  return command('seed', 'start a seed: the node whose address others know', 'seed', words).addHelpText(
    'after',
    `
Without a network definition a seed founds a network, with itself as witness.

Examples:
  artel seed                                         on this machine only, port 4411
  artel seed --listen /ip4/0.0.0.0/tcp/4411 --announce /ip4/192.0.2.7/tcp/4411
  artel seed --network network.json --data /var/lib/artel`
  )
}

function command(name: string, description: string, role: NodeRole, words: Words): Command {
  return settingFlags(new Command(name).description(description), words)
    .option('--json', 'one JSON object per line instead of text')
    .addOption(new Option('--release <json>').argParser(parseRunAs).hideHelp())
    .action((options: Options) => start(role, options))
}

type Options = OutputOptions & { release?: RunAs } & Record<string, unknown>

async function start(role: NodeRole, options: Options): Promise<void> {
  const config = configOf(options, role === 'seed' ? { listen: SEED_LISTEN } : { gateway: { enabled: true } })
  const { release } = options
  // of a fleet, `artel launch` says what runs
  const { devices } = config as unknown as { devices: { slot?: string } }
  const isOwn = devices.slot == null
  if (isOwn && release == null && existsSync(join(config.data, slots.RELEASES)))
    await (await import('./run-release.ts')).runRelease(config.data)
  const isOnTrial = release?.isOnTrial === true
  if (isOnTrial) shutWayOut()
  const restart = (): void => {
    runAgain(release)
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), ANSWER_MS)
  }
  const logFile = openLogFile(config)
  const logger = createLogger(config, logFile)
  const open = role === 'node' && config.profile === 'device' ? openDeviceNode : openNode
  // `artel launch` that tries this release is gone: the next one starts it again
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  await untilInterrupted(async (signal, patience) => {
    const { isAlone } = await import('../find-network.ts')
    const founds = role === 'seed' || (await isAlone(config))
    const configFile = configFileOf(options, config)
    const opened = await open(config, {
      ...{ role, founds, logger, configFile, signal, isOnTrial },
      ...(isOwn && { restart })
    }).catch(error => {
      if (signal.aborted) return undefined
      throw error
    })
    if (opened == null) return 0
    growWhileBusy(signal)
    collectStart(signal)
    const { node, failed, about, token } = opened
    patience(() => node.services.endMs())
    const closeControl = await serveControl(config.data, createOperations(node)).catch(async error => {
      await node.stop()
      throw error
    })
    if (isOnTrial) tellOf(node, signal)
    const ready = {
      event: isOnTrial ? 'trial' : 'ready',
      version: VERSION,
      id: node.id,
      network: networkId(node.network),
      addresses: node.addresses(),
      data: config.data,
      pid: process.pid,
      ...about
    }
    // the token is for the owner's screen, not for what programs log
    print(ready, options, it =>
      describe({ ...it, founds, dashboard: it.dashboard && `${it.dashboard}/#token=${token}` })
    )
    const failure = await Promise.race([aborted(signal), ...(failed == null ? [] : [failed])])
    await closeControl()
    if (node.services.endMs() > 0)
      print({ event: 'stopping' }, options, () => 'ending what services run; once more, and it runs on')
    await node.stop()
    await logFile?.end()
    if (failure != null) throw failure
    print({ event: 'stopped' }, options, () => 'stopped')
    return 0
  })
}

/** Tells who tries this release how it is, until it ends. */
function tellOf({ services }: Opened['node'], signal: AbortSignal): void {
  const tell = (): void => {
    const health = services
      .health()
      .map(({ service, state, reason, error }) => ({ service, state, reason, error }))
    process.send?.({ health } satisfies TrialNews)
  }
  tell()
  const timer = setInterval(tell, NEWS_MS)
  signal.addEventListener('abort', () => clearInterval(timer))
}

interface Opening {
  role: NodeRole
  founds: boolean
  logger: Logger
  configFile: string
  isOnTrial: boolean
  restart?: () => void
  signal: AbortSignal
}

interface Opened {
  node: Pick<ArtelNode, 'id' | 'network' | 'services' | 'addresses' | 'stop'>
  /** resolves with why it cannot go on */
  failed?: Promise<Error>
  about: { role: NodeRole | 'device'; compute?: boolean; walled?: boolean; dashboard?: string }
  token?: string
}

async function openNode(config: Config, init: Opening): Promise<Opened> {
  const { createNode } = await import('../create-node.ts')
  const node = await createNode(config, init)
  const { gateway, failed, sandbox } = node
  const about = {
    role: init.role,
    compute: config.compute,
    walled: sandbox.walled,
    dashboard: gateway?.url
  }
  return { node, failed, about, token: gateway?.token }
}

/** A node of services alone, which reads no code of what it has not. */
async function openDeviceNode(config: Config, init: Opening): Promise<Opened> {
  const { createDeviceNode } = await import('../device-node.ts')
  return { node: await createDeviceNode(config, init), about: { role: 'device' } }
}

function describe(ready: {
  role: NodeRole | 'device'
  id: string
  network: string
  addresses: string[]
  data: string
  dashboard?: string
  /** it is the one that others join by */
  founds: boolean
}): string {
  return [
    `artel ${VERSION} ${ready.role} ${ready.id}`,
    `  network:   ${ready.network}`,
    ...ready.addresses.map(address => `  address:   ${address}`),
    `  data:      ${ready.data}`,
    ...(ready.dashboard == null ? [] : [`  dashboard: ${ready.dashboard}`]),
    ...(ready.founds ? [`  join:      artel start --seed ${ready.addresses[0]}`] : [])
  ].join('\n')
}
