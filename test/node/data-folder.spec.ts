import { strict as assert } from 'node:assert'
import { cp, mkdir, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DATA_PARTS, type DataPart } from '../../node/data-folder.ts'
import { checkData, examineData } from '../../node/examine-data.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { repairData } from '../../node/repair-data.ts'
import { SmallDisk } from '../integration/small-disk.ts'
import { Processes } from './processes.ts'

/** What happens to files, by name. `level` stands for every file of a LevelDB folder. */
const DAMAGES: Record<string, (file: string) => Promise<void>> = {
  cut: async file => truncate(file, Math.floor((await stat(file)).size / 2)),
  flipped: async file => {
    const handle = await open(file, 'r+')
    const head = Buffer.alloc(16)
    const { bytesRead } = await handle.read(head, 0, 16, 0)
    for (let i = 0; i < bytesRead; i++) head[i]! ^= 0x55
    await handle.write(head, 0, bytesRead, 0)
    await handle.close()
  },
  empty: file => truncate(file, 0),
  foreign: file => writeFile(file, 'Dear diary,\nthis is something else altogether.\n'.repeat(20)),
  zeroed: async file => writeFile(file, Buffer.alloc((await stat(file)).size)),
  'a folder': async file => {
    await rm(file)
    await mkdir(file)
  }
}

describe('node: data folder', () => {
  let folder: string
  let template: string
  let balance: bigint
  let job: string

  const configOf = (data: string) =>
    loadConfig({
      environment: {},
      flags: { data, logLevel: 'silent', trustedPeers: ['*'], 'gateway.enabled': true, 'gateway.port': 0 }
    })
  const startIn = (data: string): Promise<ArtelNode> => createNode(configOf(data), { founds: true })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-data-'))
    template = join(folder, 'template')
    await using node = await startIn(template)
    await node.configure({ slots: 1 })
    const items = Array.from({ length: 40_000 }, (_, i) => `item ${i}`)
    const running = await node.submit({ type: 'map', items, fn: 'x => x', name: 'kept' })
    await running.settled()
    job = running.id
    balance = node.ledger.balance().available
    await writeFile(join(template, 'seeds.json'), '[]')
    await writeFile(join(template, 'gateway-tokens.json'), '[]')
  })
  after(() => rm(folder, { recursive: true }))

  const copied = async (): Promise<string> => {
    const copy = await mkdtemp(join(folder, 'copy-'))
    await cp(template, copy, { recursive: true })
    return copy
  }

  /** The files of a part; of LevelDB those that cannot be empty. */
  const filesOf = async (data: string, { path, kind }: DataPart): Promise<string[]> => {
    const file = join(data, path)
    if (kind !== 'level') return [file]
    const names = await readdir(file)
    return names
      .filter(name => name === 'CURRENT' || name.startsWith('MANIFEST'))
      .map(name => join(file, name))
  }

  it('holds nothing that is not declared', async () => {
    const found = await readdir(template, { recursive: true, withFileTypes: true })
    const paths = found
      .filter(entry => !entry.isDirectory())
      .map(entry => join(entry.parentPath, entry.name).slice(template.length + 1))
    const isDeclared = (path: string): boolean =>
      DATA_PARTS.some(
        part =>
          path === part.path ||
          path.startsWith(`${part.path}/`) ||
          /^-(wal|shm|journal)$/.test(path.slice(part.path.length))
      )
    assert.deepEqual(
      paths.filter(path => !isDeclared(path)),
      []
    )
    const absent = DATA_PARTS.filter(
      ({ path, kind }) =>
        !['made-at-start', 'files'].includes(kind) &&
        !found.some(entry => join(entry.parentPath, entry.name) === join(template, path))
    )
    assert.deepEqual(absent, [], 'declared, and a node that worked has none')
  })

  it('is whole after a node worked in it', async () => {
    assert.deepEqual(await examineData(template, 'thorough'), [])
  })

  for (const part of DATA_PARTS.filter(({ kind }) => !['made-at-start', 'lock', 'files'].includes(kind))) {
    it(`${part.path}: whatever is done to it, the node names the file, and a repair loses nothing else`, async () => {
      for (const [name, damage] of Object.entries(DAMAGES)) {
        const names = (await filesOf(template, part)).map(file => file.slice(template.length + 1))
        for (const path of names) {
          const data = await copied()
          const file = join(data, path)
          await damage(file)
          const what = `${path}, ${name}`
          await assert.rejects(
            checkData(data),
            ({ name: error, message }: Error) => {
              assert.equal(error, 'DataFolderError', what)
              assert.ok(message.includes(join(data, part.path)), `${what}: ${message}`)
              assert.ok(message.includes(part.loss), `${what}: ${message}`)
              return true
            },
            what
          )
          const damaged = await readdir(dirname(file))
          const repairs = await repairData(data, new Date(0))
          assert.deepEqual(
            repairs.map(repair => repair.path),
            [part.path],
            what
          )
          if (part.remedy == null) {
            assert.deepEqual(await readdir(dirname(file)), damaged, `${what}: left as it was`)
          } else {
            assert.deepEqual(await examineData(data, 'thorough'), [], what)
            const { kept } = repairs[0]!
            assert.equal(basename(kept!), `${basename(part.path)}.1970-01-01T00-00-00`)
            assert.ok(await stat(kept!))
          }
          await rm(data, { recursive: true })
        }
      }
    })
  }

  it('says of files that a used folder has, and that are missing, what that means', async () => {
    for (const part of DATA_PARTS.filter(({ isExpected }) => isExpected)) {
      const data = await copied()
      await rm(join(data, part.path))
      await assert.rejects(checkData(data), {
        name: 'DataFolderError',
        message: new RegExp(`${part.path} is missing`)
      })
      await rm(data, { recursive: true })
    }
    // a first start that was interrupted is none
    const fresh = await mkdtemp(join(folder, 'fresh-'))
    await cp(join(template, 'key'), join(fresh, 'key'))
    await checkData(fresh)
  })

  it('keeps every row of a database whose head is gone', async () => {
    const data = await copied()
    const file = join(data, 'jobs.sqlite')
    const before = new DatabaseSync(file, { readOnly: true })
    const rows = before.prepare('SELECT * FROM jobs').all()
    before.close()
    await DAMAGES.flipped!(file)
    await repairData(data, new Date(0))
    const after = new DatabaseSync(file, { readOnly: true })
    assert.deepEqual(after.prepare('SELECT * FROM jobs').all(), rows)
    after.close()
  })

  it('repaired in every part, it starts with the same credits and the same jobs', async () => {
    const data = await copied()
    for (const part of DATA_PARTS.filter(
      ({ remedy, kind }) => remedy != null && !['made-at-start', 'files'].includes(kind)
    ))
      for (const file of await filesOf(data, part)) await DAMAGES.flipped!(file)
    await repairData(data, new Date(0))
    await using node = await startIn(data)
    assert.equal(node.ledger.balance().available, balance)
    assert.equal(node.scheduler.jobs({ limit: 10 }).items.find(each => each.job === job)?.state, 'completed')
  })

  describe('as a process', () => {
    let processes: Processes
    beforeEach(async () => {
      processes = await Processes.create()
      await cp(template, processes.path('data'), { recursive: true })
    })
    afterEach(() => processes.stop())

    const refused = async (
      what: RegExp,
      where?: { inside?: string[]; env?: Record<string, string> }
    ): Promise<void> => {
      const { code, stderr } = await processes.run(['start', '--data', processes.path('data')], where)
      assert.match(stderr, what)
      assert.doesNotMatch(stderr, /should not happen|\n.*\n/)
      assert.equal(code, 3)
    }

    it('on a disk that may only be read: says so', async () => {
      const data = processes.path('data')
      const script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
      const inside = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-euc', script, 'sh', data]
      await refused(new RegExp(`^artel: .*${data}.*(read-only|readonly|EROFS).*mode`), { inside })
    })

    it('on a disk without room: says so', async () => {
      const data = processes.path('data')
      const seen = processes.path('disk')
      await mkdir(seen)
      const disk = await SmallDisk.create(seen, 16)
      try {
        await cp(data, disk.path, { recursive: true })
        await disk.fill()
        const args = ['start', '--data', seen]
        const { code, stderr } = await processes.run(args, { inside: disk.inside })
        assert.match(stderr, /^artel: the disk of .* is full .*make room/)
        assert.equal(code, 3)
      } finally {
        await disk.stop()
      }
    })

    it('with a lock that is none: says so, and doctor --repair mends it', async () => {
      const data = processes.path('data')
      await DAMAGES.foreign!(join(data, 'lock'))
      await DAMAGES.zeroed!(join(data, 'gateway-token'))
      await DAMAGES.foreign!(join(data, 'config.json'))
      const config = await processes.run(['start', '--data', data])
      assert.match(config.stderr, /config\.json is not JSON.*artel doctor --repair/)
      const repaired = await processes.run(['doctor', '--repair', '--data', data, '--json'])
      assert.equal(repaired.code, 0, repaired.stderr)
      assert.deepEqual(
        JSON.parse(repaired.stdout).map(({ path }: { path: string }) => path),
        ['lock', 'config.json', 'gateway-token']
      )
      const again = await processes.run(['doctor', '--repair', '--data', data])
      assert.equal(again.stdout, 'nothing is damaged\n')
    })
  })
})
