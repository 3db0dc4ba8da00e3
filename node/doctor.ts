import { constants, existsSync } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { availableParallelism, freemem } from 'node:os'
import { dirname, join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { fetchNetwork, loadNetwork, loadOrCreateIdentity } from '../bootstrap/index.ts'
import { createSandbox } from '../sandbox/index.ts'
import {
  type Check,
  type Network,
  SERVICES,
  type ServiceModule,
  type ServiceSettings
} from '../services/index.ts'
import { connectControl, controlPath } from './control.ts'
import type { DataKind } from './data-folder.ts'
import { describeFinding, examineData } from './examine-data.ts'
import type { Config } from './settings.ts'

const LEAST_NODE_MAJOR = 24
const LEAST_FREE_BYTES = 1024 ** 3
/** When this program was written; a clock before it is wrong, and signatures with times need a clock. */
const WRITTEN_MS = Date.UTC(2026, 10, 1)

type Result = [state: Check['state'], detail: string]

/** Looks at everything a node needs on this machine. Starts no node and changes nothing but temporary files. */
export async function diagnose(
  config: Config,
  services: readonly ServiceModule[] = SERVICES
): Promise<Check[]> {
  const running = await statusOf(config.data)
  const checks: Check[] = []
  const check = async (name: string, examine: () => Promise<Result> | Result): Promise<void> => {
    try {
      const [state, detail] = await examine()
      checks.push({ name, state, detail })
    } catch (error) {
      checks.push({ name, state: 'fail', detail: (error as Error).message })
    }
  }
  await check('node', checkNode)
  await check('machine', checkMachine)
  await check('data folder', () => checkFolder(config.data))
  const findings = await examineData(config.data, 'thorough')
  for (const finding of findings)
    checks.push({ name: finding.part.path, state: 'fail', detail: describeFinding(config.data, finding) })
  const isFound = (kind: DataKind): boolean => findings.some(({ part }) => part.kind === kind)
  if (!isFound('key')) await check('key', () => checkKey(config.data))
  if (!isFound('network')) await check('network', () => checkNetwork(config))
  await check('clock', checkClock)
  if (running != null) {
    checks.push({
      name: 'running',
      state: 'ok',
      detail: `process ${running.pid} listens on ${running.addresses.join(', ')}`
    })
    if (running.dashboard != null)
      checks.push({
        name: 'dashboard',
        state: 'ok',
        // not the token itself: what the doctor says is shown to others
        detail: `${running.dashboard}, opened with the token in ${join(config.data, 'gateway-token')}`
      })
    checks.push({
      name: 'peers',
      state: running.peers > 0 ? 'ok' : 'warn',
      detail: `${running.peers} peers, ${running.workers} workers${running.peers > 0 ? '' : '; check the seeds and the firewall'}`
    })
  } else {
    for (const address of config.listen) await check('port', () => checkPort(address))
    for (const seed of config.seeds) await check('seed', () => checkSeed(seed))
  }
  checks.push(...(await checkWalls()))
  for (const service of services) checks.push(...(await checkService(service, config)))
  return checks
}

/** What a service that is switched on needs of this machine, as it says itself. */
async function checkService({ name, checks }: ServiceModule, config: Config): Promise<Check[]> {
  const section = (config as unknown as Record<string, ServiceSettings | undefined>)[name]
  if (checks == null || section?.enabled !== true) return []
  const found: Check[] = []
  try {
    for await (const check of checks(section as never, join(config.data, 'services', name)))
      found.push({ ...check, name: `${name}: ${check.name}` })
  } catch (error) {
    found.push({ name, state: 'fail', detail: (error as Error).message })
  }
  return found
}

async function statusOf(folder: string): Promise<Network | undefined> {
  if (!existsSync(controlPath(folder))) return undefined
  try {
    const client = await connectControl(folder)
    try {
      return await client.network.network()
    } finally {
      client.close()
    }
  } catch {
    // no node is a finding of the other checks, not a failure of this one
    return undefined
  }
}

function checkNode(): Result {
  const major = Number(process.versions.node.split('.')[0])
  if (major >= LEAST_NODE_MAJOR) return ['ok', `Node ${process.version}, V8 ${process.versions.v8}`]
  return ['fail', `Node ${process.version} is too old; Artel needs Node ${LEAST_NODE_MAJOR} or newer`]
}

function checkMachine(): Result {
  const detail = `${availableParallelism()} cores, ${Math.round(freemem() / 2 ** 20)} MB of memory free, ${process.platform} ${process.arch}`
  return freemem() > LEAST_FREE_BYTES / 4 ? ['ok', detail] : ['warn', `${detail}; a worker needs 256 MB`]
}

async function checkFolder(folder: string): Promise<Result> {
  const parent = await nearest(folder)
  await access(parent, constants.W_OK | constants.X_OK)
  const { bavail, bsize } = await statfs(parent)
  const free = `${Math.round((bavail * bsize) / 2 ** 20)} MB free`
  if (parent !== folder) return ['ok', `${folder} will be created (${free})`]
  const mode = (await stat(folder)).mode & 0o777
  if ((mode & 0o077) !== 0) {
    return [
      'warn',
      `${folder} may be read by other users (mode ${mode.toString(8)}); run: chmod 700 ${folder}`
    ]
  }
  if (bavail * bsize < LEAST_FREE_BYTES)
    return ['warn', `${folder} has only ${free}; make room, or choose another with --data`]
  return ['ok', `${folder} (${free})`]
}

async function nearest(folder: string): Promise<string> {
  return existsSync(folder) ? folder : nearest(dirname(folder))
}

async function checkKey(folder: string): Promise<Result> {
  const file = join(folder, 'key')
  if (!existsSync(file)) return ['ok', 'none yet; the first start creates one']
  const { peerId } = await loadOrCreateIdentity(file)
  return ['ok', `${peerId}; keep a copy of ${file}, it is your account`]
}

async function checkNetwork(config: Config): Promise<Result> {
  const file = config.network ?? join(config.data, 'network.json')
  if (config.network == null && !existsSync(file)) {
    return config.seeds.length > 0
      ? ['ok', 'no definition yet; the seeds will be asked']
      : [
          'warn',
          'none yet: the first start founds one of this machine alone; to join one start with --seed ADDRESS or --network FILE'
        ]
  }
  const { name, epoch, witnesses } = await loadNetwork(file)
  return ['ok', `${name}, epoch ${epoch}, ${witnesses.length} witnesses (${file})`]
}

function checkClock(): Result {
  const now = Date.now()
  const shown = new Date(now).toISOString()
  return now >= WRITTEN_MS ? ['ok', shown] : ['fail', `the clock says ${shown}; set it`]
}

/** Takes the port for a moment. */
function checkPort(address: string): Promise<Result> {
  const parts = multiaddr(address).getComponents()
  const host = parts[0]?.value
  const port = Number(parts.find(({ name }) => name === 'tcp')?.value ?? 0)
  if (port === 0) return Promise.resolve(['ok', `${address}: any free port`])
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve([
        'fail',
        `${address}: ${error.code === 'EADDRINUSE' ? 'in use' : error.message}; choose another with --listen`
      ])
    })
    server.listen(port, host, () => server.close(() => resolve(['ok', `${address} is free`])))
  })
}

async function checkSeed(address: string): Promise<Result> {
  const started = performance.now()
  const { name } = await fetchNetwork(address)
  return ['ok', `${address} answers for network ${name} in ${Math.round(performance.now() - started)} ms`]
}

async function checkWalls(): Promise<Check[]> {
  const sandbox = createSandbox({ warm: 1 })
  try {
    await sandbox.start()
    const walls = sandbox.walls.map(({ name, present, detail }): Check => {
      return { name: `wall ${name}`, state: present ? 'ok' : 'warn', detail }
    })
    const verdict: Check = sandbox.walled
      ? { name: 'sandbox', state: 'ok', detail: "every wall stands: strangers' code may run" }
      : { name: 'sandbox', state: 'warn', detail: "a wall is missing: only the owner's own jobs run here" }
    return [...walls, verdict]
  } catch (error) {
    return [{ name: 'sandbox', state: 'fail', detail: (error as Error).message }]
  } finally {
    await sandbox.stop()
  }
}
