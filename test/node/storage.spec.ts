import { strict as assert } from 'node:assert'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storageFault } from '../../node/examine-data.ts'
import { EXIT } from '../../node/index.ts'
import { SmallDisk } from '../integration/small-disk.ts'
import { Processes } from './processes.ts'

const SPEC = { type: 'map', items: [1], fn: 'x => x + 1' }

describe('node: a disk that fails while the node runs', () => {
  let processes: Processes
  beforeEach(async () => {
    processes = await Processes.create()
  })
  afterEach(() => processes.stop())

  it('full: every command and request says so, and with room they work again', async () => {
    const seen = processes.path('disk')
    await mkdir(seen)
    const disk = await SmallDisk.create(seen, 64)
    try {
      const { inside } = disk
      const env = { ARTEL_GATEWAY_ENABLED: 'true' }
      const node = processes.start('start', 'disk', ['--gateway-port', '0'], { inside, env })
      await node.ready
      const bytes = processes.path('bytes.bin')
      await writeFile(bytes, Buffer.alloc(5e6, 7))
      const command = (...args: string[]) =>
        processes.run([...args, '--data', seen], { inside, input: JSON.stringify(SPEC) })
      const { url } = JSON.parse(await readFile(join(disk.path, 'gateway.json'), 'utf8'))
      const token = (await readFile(join(disk.path, 'gateway-token'), 'utf8')).trim()
      const post = (path: string, body: object | Buffer) =>
        fetch(`${url}/api/v1${path}`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json'
          },
          body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body)
        })

      await disk.fill()
      for (const args of [
        ['run', '-', '--file', `items:uint8=${bytes}`],
        ['run', '-']
      ]) {
        const { code, stderr } = await command(...args)
        assert.match(stderr, new RegExp(`^artel: .*${seen}.*make room`), args.join(' '))
        assert.doesNotMatch(stderr, /should not happen/)
        assert.equal(code, EXIT.machine, args.join(' '))
      }
      assert.match((await command('config', 'set', 'slots', '1')).stderr, /config\.json.*ENOSPC/)
      const requests: [string, object | Buffer][] = [
        ['/tokens', { name: 'x', scopes: ['read'] }],
        ['/data', Buffer.alloc(5e6, 8)],
        ['/tasks', SPEC]
      ]
      for (const [path, body] of requests) {
        const answer = await post(path, body)
        const { title, detail } = (await answer.json()) as { title: string; detail: string }
        assert.equal(answer.status, 507, `${path}: ${detail}`)
        assert.match(title, /^(DataFolder|Storage)Error$/)
        assert.match(detail, new RegExp(`${seen}.*make room`))
      }
      // nothing of it ended the node
      assert.equal((await command('jobs')).stdout.trim(), 'no jobs')

      await disk.makeRoom()
      assert.equal((await command('run', '-')).stdout.trim(), '[2]')
      assert.equal((await node.end()).code, 0)
    } finally {
      await disk.stop()
    }
  })

  it('tells what a disk or a database said in terms of the data folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-storage-'))
    try {
      const told = (fields: object, message = 'it says') =>
        storageFault(Object.assign(new Error(message), fields), folder)
      const file = join(folder, 'gateway-tokens.json')
      const readOnly = told({ code: 'EROFS', path: file }, `EROFS: read-only file system, open '${file}'`)
      assert.equal(readOnly.name, 'DataFolderError')
      assert.ok(readOnly.message.includes(file), readOnly.message)
      for (const fields of [
        { code: 'EACCES', path: file },
        { code: 'EIO' },
        { code: 'ERR_SQLITE_ERROR', errcode: 8 },
        { name: 'PutFailedError' },
        { name: 'GetFailedError' }
      ]) {
        const { name, message } = told(fields)
        assert.equal(name, 'DataFolderError')
        assert.match(message, new RegExp(`${folder}.*artel doctor`))
      }
      assert.match(told({ code: 'ERR_SQLITE_ERROR', errcode: 13 }).message, /is full .*make room/)
      // of somebody else's file, and our own mistakes
      for (const fields of [{ code: 'EACCES', path: '/etc/shadow' }, { code: 'ENOENT', path: '/x' }, {}])
        assert.equal(told(fields).name, 'Error')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('files that this user may not use: a start names the file', async () => {
    const data = processes.path('data')
    const first = processes.start('start', 'data')
    await first.ready
    await first.end()
    // without rights over anybody's files, also where the tests run as root
    const inside = ['unshare', '--user']
    for (const file of ['jobs.sqlite', 'ledger/ledger.sqlite', 'datastore', 'key']) {
      await chmod(join(data, file), 0)
      const { code, stderr } = await processes.run(['start', '--data', data], { inside })
      assert.match(stderr, new RegExp(`^artel: .*${join(data, file)}\\b.*(EACCES|permission)`))
      assert.doesNotMatch(stderr, /should not happen|\n.*\n/)
      assert.equal(code, EXIT.machine, stderr)
      await chmod(join(data, file), file === 'datastore' ? 0o700 : 0o600)
    }
  })
})
