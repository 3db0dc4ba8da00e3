import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { flattenChain } from '../../../services/vm/qemu/images.ts'
import {
  filteredCommand,
  findPrograms,
  giveFilter,
  type Programs,
  runWalled,
  walledCommand
} from '../../../services/vm/qemu/walls.ts'

const MB = 2 ** 20

describe('qemu-img behind walls', () => {
  let folder: string
  let programs: Programs
  const file = (name: string) => join(folder, name)
  const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { cwd: folder })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-vm-images-'))
    programs = await findPrograms()
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('has 512 MB of memory and no more, whatever it is made to read', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', 'empty', '1G')
    const bind = { from: folder, to: '/images', isWritable: true }
    const buffer = (mb: number) =>
      runWalled(programs, [bind], ['bench', '-q', '-c', '1', '-d', '1', '-s', `${mb}M`, '/images/empty'])
    await buffer(400)
    await assert.rejects(buffer(600), /Cannot allocate memory/)
  })

  it('makes no process, no namespace and no socket but Unix ones, whatever it is made to run', async () => {
    const run = async (...words: string[]) => {
      const binds = [{ from: '/bin/busybox', to: '/busybox', isWritable: false }]
      const walled = walledCommand(programs, binds, ['/busybox', ...words])
      const [prlimit, ...rest] = filteredCommand(programs, walled)
      const child = spawn(prlimit!, rest, { env: {}, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
      giveFilter(child)
      const texts = await Promise.all([child.stdout, child.stderr].map(stream => text(stream!)))
      return texts.join('')
    }
    assert.equal(await run('echo', 'inside'), 'inside\n')
    assert.match(await run('sh', '-c', '/busybox true; echo went on'), /fork.*not permitted/i)
    assert.match(await run('unshare', '-U', '/busybox', 'true'), /not permitted/i)
    assert.match(await run('nc', '127.0.0.1', '9'), /not permitted/i)
    assert.match(await run('mount', '-t', 'tmpfs', 'x', '/layers'), /not permitted|denied/i)
  })

  it('reads an image with the largest tables that the format knows, and a full one with many requests at once', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=2M', 'tables', '1G')
    // an L1 table of 32 MB at the end of the file: QEMU takes no larger one
    const tables = await readFile(file('tables'))
    const at = Math.ceil(tables.length / (2 * MB)) * 2 * MB
    const grown = Buffer.alloc(at + 32 * MB)
    tables.copy(grown)
    grown.writeUInt32BE((32 * MB) / 8, 36)
    grown.writeBigUInt64BE(BigInt(at), 40)
    await writeFile(file('tables'), grown)
    await flattenChain(programs, file, ['tables'], file('out1'))

    const bytes = randomBytes(64 * MB)
    await writeFile(file('raw'), bytes)
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'raw', 'full')
    await flattenChain(programs, file, ['full'], file('out2'))
    qemuImg('convert', '-O', 'raw', 'out2', 'back')
    assert.ok((await readFile(file('back'))).equals(bytes))
  })
})
