import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { loadOrCreateIdentity } from '../../bootstrap/index.ts'
import { createSigner } from '../../ledger/index.ts'
import { connectControl } from '../../node/control.ts'
import { signRelease } from '../../node/signed-release.ts'
import { type Program, slots } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { pack } from '../services/devices/releases.ts'
import { type Daemon, descendants, isAlive, Processes } from './processes.ts'

const ARTEL = fileURLToPath(new URL('../../node/cli/artel.js', import.meta.url))
/** A release that works: this program under another name. */
const WORKS = `await import('${pathToFileURL(ARTEL)}')`
/** Of services the messenger alone: every start costs seconds, and there are a dozen. */
const ARGUMENTS = [
  ...['--messenger-enabled', '--compute', 'false', '--log-level', 'error'],
  ...['gateway-enabled', 'files-enabled', 'metrics'].flatMap(name => [`--${name}`, 'false'])
]

describe('node: updates of a running node', function () {
  this.timeout(600_000)
  let processes: Processes
  let daemon: Daemon
  let data: string
  let group: string
  const releases = (): string => join(data, slots.RELEASES)
  const unread = (): string => processes.path('unread')

  /** Where its messages are; the name of its messages table is its own business, and its version is for whom it is not. */
  const database = (): string => join(data, 'services', 'messenger', 'messenger.sqlite')
  const opened = (script: string): string =>
    `{ const { DatabaseSync } = await import('node:sqlite'); const db = new DatabaseSync('${database()}'); db.exec(${JSON.stringify(script)}); db.close() }`

  before(async () => {
    processes = await Processes.create()
    data = processes.path('node')
    daemon = processes.start('start', 'node', ARGUMENTS)
    await daemon.ready
    await call('found', { name: 'School 7', me: 'Anna' })
    ;({ id: group } = (await call('createGroup', { title: 'notes' })) as { id: string })
    await say('one')
  })
  after(() => processes.stop())

  /** Calls the messenger of the node, once it answers. */
  async function call(operation: string, input: Record<string, unknown> = {}): Promise<unknown> {
    let answer: unknown
    await until(async () => {
      try {
        const client = await connectControl(data)
        try {
          answer = await client.call({ service: 'messenger', operation, input })
          return true
        } finally {
          client.close()
        }
      } catch (error) {
        if (/^(ControlError|OnTrialError|ServiceDownError)$/.test((error as Error).name)) return false
        throw error
      }
    }, operation)
    return answer
  }
  const say = (text: string) => call('send', { group, text, key: text })
  const said = async (): Promise<string[]> =>
    ((await call('messages', { group })) as { items: { text?: string }[] }).items
      .flatMap(({ text }) => text ?? [])
      .sort()

  async function packed(name: string, body: string): Promise<string> {
    const { path } = await pack(processes.folder, name, body)
    const { privateKey } = await loadOrCreateIdentity(join(data, 'key'))
    await signRelease(path, createSigner(privateKey))
    return path
  }
  /** The process of the release that one tries, once it runs and is sure to end with it: not what copies databases. */
  async function tried(pid: number): Promise<number> {
    let found: number | undefined
    await until(async () => {
      for (const each of await descendants(pid)) {
        const line = await readFile(`/proc/${each}/cmdline`, 'utf8').catch(() => '')
        if (line.startsWith(process.execPath) && line.includes('"isOnTrial":true')) found = each
      }
      return found != null
    }, 'it is tried')
    return found!
  }
  const patience = ['--start-seconds', '240', '--health-seconds', '1']
  async function artel(...args: string[]) {
    const { code, stdout, stderr } = await processes.run([...args, '--json', '--data', data])
    return {
      code,
      stderr,
      ...(stdout === '' ? {} : (JSON.parse(stdout) as { before: Program; after: Program }))
    }
  }
  const update = async (name: string, body: string) => artel('update', await packed(name, body), ...patience)
  /** The node runs as the release that is kept. */
  async function assertKeptRuns(): Promise<void> {
    const { current } = await slots.readState(releases())
    assert.ok(current)
    const line = await readFile(`/proc/${daemon.process.pid}/cmdline`, 'utf8')
    assert.ok(line.includes(join(releases(), current)), line)
  }

  it('that are broken are taken back, whatever is wrong with them, and all that was said is there', async () => {
    // it has a machine on a line beside, and reaches it as soon as it may
    let came = 0
    await using machine = createServer(socket => {
      came++
      socket.on('error', () => undefined).destroy()
    })
    await once(machine.listen(0, '127.0.0.1'), 'listening')
    const { port } = machine.address() as AddressInfo
    const more = ['--devices-enabled', '--sas-enabled', '--sas-machine', `tcp://127.0.0.1:${port}`]
    const broken: [name: string, body: string, why: RegExp][] = [
      ['exits', 'process.exit(9)', /ended with exit code 9/],
      // as a migration that fails half way: what it did to the database is undone
      [
        'migrates',
        `${opened('PRAGMA user_version = 99; DELETE FROM event')}
         process.argv.push(...${JSON.stringify(more)}); ${WORKS}`,
        /messenger is (failed|starting): .*version 99/
      ]
    ]
    for (const [name, body, why] of broken) {
      const { code, before: was, after: is } = await update(name, body)
      assert.equal(code, 3, name)
      assert.equal(is!.failed!.version, name)
      assert.match(is!.failed!.why, why)
      assert.deepEqual([is!.version, is!.former], [was!.version, undefined], name)
      await say(`after ${name}`)
    }
    assert.deepEqual(await said(), ['after exits', 'after migrates', 'one'])
    assert.equal(came, 0, 'nothing that hangs on the node is reached by what is undone')
  })

  it('that work take its place by command', async () => {
    const version = `PRAGMA user_version = `
    const mine = await call('status').then(async () => {
      const { DatabaseSync } = await import('node:sqlite')
      using db = new DatabaseSync(database(), { readOnly: true })
      return Object.values(db.prepare('PRAGMA user_version').get()!)[0] as number
    })
    // a program whose databases no other reads, while a file says so
    const newer = `${opened(version + mine)}
      process.on('exit', () => {
        if (!process.getBuiltinModule('node:fs').existsSync('${unread()}')) return
        const db = new (process.getBuiltinModule('node:sqlite').DatabaseSync)('${database()}')
        db.exec('PRAGMA busy_timeout = 5000; ${version}99')
        db.close()
      })
      ${WORKS}`
    const { code, before: was, after: is, stderr } = await update('newer', newer)
    assert.equal(code, 0, stderr)
    assert.deepEqual([is!.version, is!.former, is!.failed], ['newer', was!.version, undefined])
    await say('two')
    await assertKeptRuns()
  })

  it('do not go back where the older program cannot read what the newer wrote: nothing is lost', async () => {
    await writeFile(unread(), '')
    const back = await artel('rollback', ...patience)
    await rm(unread())
    assert.equal(back.code, 3)
    assert.match(back.after!.failed!.why, /messenger is (failed|starting): .*version 99/)
    assert.equal(back.after!.version, 'newer')
    assert.ok((await said()).includes('two'))
    await say('three')
  })

  it('that hang, or are killed at any moment, leave one program that starts: the last that worked', async () => {
    const path = await packed('stuck', 'for (;;);')
    const client = await connectControl(data)
    await client.release.update({ path, startSeconds: 3600 })
    client.close()
    // it is tried, and whoever tries it is killed
    const { pid } = daemon.process
    const child = await tried(pid!)
    const killed = await slots.readState(releases())
    assert.equal(killed.trial?.isCopied, true)
    await daemon.end('SIGKILL')
    await until(() => !isAlive(child), 'what was tried ends with it')

    // told to end while it tries, it ends, and that is no fault of the release
    daemon = processes.start('start', 'node', ARGUMENTS)
    await tried(daemon.process.pid!)
    assert.equal((await slots.readState(releases())).trial?.starts, 2, 'the start counts')
    assert.equal((await daemon.end('SIGTERM')).code, 0)
    const { trial } = await slots.readState(releases())
    assert.equal(trial?.starts, 1)

    // in the end it is given up
    await slots.writeState(releases(), { ...killed, trial: { ...trial!, startMs: 1 } })
    daemon = processes.start('start', 'node', ARGUMENTS)
    await until(async () => (await slots.readState(releases())).failed != null, 'it is given up')
    const { failed } = await slots.readState(releases())
    assert.equal(failed!.version, 'stuck')
    assert.match(failed!.why, /did not start within 0.001 s/)
    assert.ok((await said()).includes('three'))
    await say('four')
    await assertKeptRuns()
  })

  it('go back by command, with all that was said since', async () => {
    const { code, before: was, after: is, stderr } = await artel('rollback', ...patience)
    assert.equal(code, 0, stderr)
    assert.deepEqual([is!.version, is!.former, is!.failed], [was!.former, 'newer', undefined])
    assert.deepEqual(
      (await said()).filter(text => !text.startsWith('after')),
      ['four', 'one', 'three', 'two']
    )
  })
})
