import { deepEqual, equal, match } from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type ControlClient, connectControl } from '../../../node/control.ts'
import { until } from '../../bootstrap/nodes.ts'
import { Processes } from '../../node/processes.ts'
import { pack } from './releases.ts'

const ARTEL = fileURLToPath(new URL('../../../node/cli/artel.js', import.meta.url))
const WAIT_MS = 240_000
/** A release that works: this program under another name. */
const WORKS = `await import('${pathToFileURL(ARTEL)}')`

interface Fleet {
  version: number
  agents: { isRight: boolean; state?: { release: { version?: string; isOnTrial: boolean; why?: string } } }[]
}

/** As systemd with Restart=always. */
class Supervisor {
  child: ChildProcess | undefined
  starts = 0
  /** its peer id, once it has said so */
  id: string | undefined
  #isOver = false
  readonly #args: string[]
  readonly #folder: string

  constructor(folder: string, args: string[]) {
    this.#args = args
    this.#folder = folder
    this.#start()
  }

  #start(): void {
    if (this.#isOver) return
    this.starts++
    const { PATH, NODE_COMPILE_CACHE = '' } = process.env
    this.child = spawn(process.execPath, [ARTEL, ...this.#args], {
      cwd: this.#folder,
      env: { PATH, HOME: this.#folder, NODE_COMPILE_CACHE, ARTEL_GATEWAY_ENABLED: 'false' },
      stdio: ['ignore', 'pipe', 'inherit'],
      // what it starts ends with it, as a unit of systemd does
      detached: true
    })
    createInterface(this.child.stdout!).on('line', line => {
      if (line.startsWith('{"event":"ready"')) this.id = (JSON.parse(line) as { id: string }).id
    })
    this.child.once('exit', () => this.#start())
  }

  /** As a power cut: it comes back. */
  kill(): void {
    process.kill(-this.child!.pid!, 'SIGKILL')
  }

  async end(): Promise<void> {
    this.#isOver = true
    const { child } = this
    if (child?.exitCode != null || child?.signalCode != null) return
    const exit = once(child!, 'exit')
    this.kill()
    await exit
  }
}

describe('devices: a release of an agent', function () {
  this.timeout(600_000)
  let processes: Processes
  let board: Supervisor | undefined
  let control: ControlClient | undefined
  beforeEach(async () => {
    processes = await Processes.create()
  })
  afterEach(async () => {
    control?.close()
    await board?.end()
    await processes.stop()
  })

  it('that is broken is taken back with its reason in the log, one that works is kept, also through a kill', async () => {
    const common = ['--profile', 'device', '--devices-enabled', '--log-level', 'warn']
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
    const owner = processes.start('start', 'owner', [
      ...common,
      ...listen,
      ...['--devices-fleet-owner', 'self', '--devices-allowed-peer', '*']
    ])
    const { id, addresses } = await owner.ready
    const ask = async <T>(...args: string[]): Promise<T> => {
      const { code, stdout, stderr } = await processes.run([
        'devices',
        ...args,
        '--json',
        '--data',
        processes.path('owner')
      ])
      equal(code, 0, stderr)
      return JSON.parse(stdout) as T
    }
    // what is looked at again and again needs no process each time
    control = await connectControl(processes.path('owner'))
    const look = <T>(operation: string, input = {}): Promise<T> =>
      control!.call({ service: 'devices', operation, input }) as Promise<T>
    const followers = ['--devices-fleet-owner', id, '--devices-witness-peer', id]
    const data = processes.path('board')
    board = new Supervisor(processes.folder, [
      'launch',
      '--json',
      ...['--data', data, '--seed', addresses[0]!, ...common, ...listen, ...followers]
    ])
    interface Events {
      items: { agent: string; kind: string; body: { is: string; version: string; why?: string } }[]
    }
    await until(() => board!.id != null, 'the board runs', WAIT_MS)
    const agent = board.id
    const said = async () => {
      const { items } = await look<Events>('events', { limit: 1000 })
      return items
        .filter(each => each.agent === agent && each.kind === 'release')
        .map(({ body }) => body)
        .reverse()
    }
    let version = 0
    async function want(name: string, body: string): Promise<void> {
      const { path, bytes, sha256 } = await pack(processes.folder, name, body)
      deepEqual(await ask('add-release', path), { sha256, bytes: bytes.length })
      const release = { version: name, sha256, bytes: bytes.length, healthSeconds: 1, startSeconds: 600 }
      const wishes = JSON.stringify({ agents: [agent], release })
      await ask('set-fleet', wishes, '--after', String(version++))
    }
    const stateOf = async () => (await look<Fleet>('fleet')).agents[0]?.state?.release

    await want('broken', 'process.exit(9)')
    await until(async () => (await said()).some(({ is }) => is === 'failed'), 'it is given up', WAIT_MS)
    const failed = (await said()).find(({ is }) => is === 'failed')!
    equal(failed.version, 'broken')
    match(failed.why!, /ended 3 times .* exit code 9/)
    let state: Awaited<ReturnType<typeof stateOf>>
    await until(
      async () => {
        state = await stateOf()
        return state?.why != null
      },
      'the drift is shown',
      WAIT_MS
    )
    equal(state!.version, undefined, 'what was installed runs')

    await want('works', WORKS)
    await until(async () => (await look<Fleet>('fleet')).agents[0]?.isRight === true, 'it is kept', WAIT_MS)
    equal((await stateOf())!.version, 'works')
    // the log is delivered by itself
    await until(async () => (await said()).some(({ is }) => is === 'kept'), 'its owner has it', WAIT_MS)
    deepEqual(
      (await said()).map(({ is, version: of }) => `${of} ${is}`),
      ['broken tried', 'broken failed', 'works tried', 'works on trial', 'works kept']
    )
    const { starts } = board
    board.kill()
    await until(() => board!.starts > starts, 'it is started again')
    await until(
      async () => {
        const heard = await look<Fleet & { agents: { error?: string }[] }>('fleet')
        return heard.agents[0]!.error == null && heard.agents[0]!.isRight
      },
      'it is back',
      WAIT_MS
    )
    equal((await stateOf())!.version, 'works')
    await until(
      async () => (await said()).some(({ is, version: of }) => is === 'cut off' && of === 'works'),
      'that it did not end itself is told',
      WAIT_MS
    )
  })
})
