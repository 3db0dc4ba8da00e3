import { strict as assert } from 'node:assert'
import { execFile, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { encodeValue } from '../../sandbox/index.ts'
import { type Daemon, Processes } from './processes.ts'

const BUILD = fileURLToPath(new URL('../../node/sdk/python/build_wheel.py', import.meta.url))
const HERE = fileURLToPath(new URL('.', import.meta.url))
const PYTHON = '/usr/bin/python3'
const RUN_MS = 400_000

const VALUES = [
  ...[0, 23, 24, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -1, -25, 1 - 2 ** 53, 2n ** 53n, -(2n ** 64n)],
  ...[1.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324, true, false, null, '', 'ä€😀', '\ud800x'],
  ...[[], [1, [2]], {}, { b: 1, 10: 2, 9: 3 }, new Uint8Array([1]), new Float64Array([1, Number.NaN])],
  ...[new Int8Array([-1]), new Uint16Array([1]), new BigInt64Array([-1n]), new Float32Array([0.5])]
]

// what runs when its node is killed, and whether it gave what it gives here
const KILLED = `
import artel, time

def slow(n):
    total = 0
    for i in range(500_000):
        total += i % n
    return total

with artel.Executor(name='killed') as pool, artel.connect() as node:
    futures = [pool.submit(slow, n) for n in range(1, 7)]
    while all(job.get('name') != 'killed' for job in node.call('GET', '/tasks')['items']):
        time.sleep(0.05)
    print('under way', flush=True)
    print([future.result(${RUN_MS / 1000}) for future in futures] == [slow(n) for n in range(1, 7)])
`

describe('node: SDK for Python', () => {
  let processes: Processes
  let wheel: string
  before(async () => {
    processes = await Processes.create()
    wheel = (await run([BUILD])).trim()
  })
  after(() => processes.stop())

  const start = async (): Promise<Daemon> => {
    const daemon = processes.start('start', 'node', ['--gateway-enabled', 'true', '--gateway-port', '0'])
    await daemon.ready
    return daemon
  }
  const environment = (more: Record<string, string> = {}): NodeJS.ProcessEnv => ({
    ...process.env,
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: `${wheel}:${HERE}`,
    ARTEL_DATA: processes.path('node'),
    ...more
  })

  /** What a program says; throws with all of it where it fails. */
  function run(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(PYTHON, args, { env, timeout: RUN_MS }, (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(`${error.message}\n${stdout}\n${stderr}`))
      )
    })
  }

  it('computes as the standard library’s executors do, from its wheel alone; no future is lost with its node', async () => {
    const vectors = processes.path('vectors.json')
    await writeFile(
      vectors,
      JSON.stringify(VALUES.map(value => Buffer.from(encodeValue(value)).toString('hex')))
    )
    const node = await start()
    await assert.doesNotReject(run(['-m', 'unittest', 'sdk_python'], environment({ VECTORS: vectors })))

    const program = processes.path('killed.py')
    await writeFile(program, KILLED)
    const child = spawn(PYTHON, [program], { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      assert.equal((await lines.next()).value, 'under way')
      await node.end('SIGKILL')
      await start()
      assert.equal((await lines.next()).value, 'True')
    } finally {
      child.kill('SIGKILL')
    }
  }).timeout(2 * RUN_MS + 60_000)
})
