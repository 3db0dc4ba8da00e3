import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLiveConfig } from '../../node/config-file.ts'
import { type Config, loadConfig } from '../../node/index.ts'

describe('node: settings changed while it runs', () => {
  let folder: string
  let file: string
  let applied: Config[]

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-live-'))
    file = join(folder, 'config.json')
    applied = []
  })
  afterEach(() => rm(folder, { recursive: true }))

  const load = (): Config => loadConfig({ environment: { ARTEL_DATA: folder } })
  const open = () => createLiveConfig(load(), file, config => applied.push(config))

  it('are applied at once and there after the next start, beside what the file had', async () => {
    await writeFile(file, '{"slots": 4, "limits": {"maxConnections": 20}}')
    const live = open()
    await live.configure({ slots: 2, quietHours: ['22:00-07:00'], 'limits.pendingInbound': 9 })
    assert.equal(live.current.slots, 2)
    assert.deepEqual(applied, [live.current])
    assert.deepEqual(load(), live.current)
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
      slots: 2,
      limits: { maxConnections: 20, pendingInbound: 9 },
      quietHours: ['22:00-07:00']
    })
  })

  it('are taken as text too, and null gives the default back', async () => {
    const live = open()
    await live.configure({ slots: '3', mdns: 'true', tags: 'gpu, arm' })
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { slots: 3, mdns: true, tags: ['gpu', 'arm'] })
    await live.configure({ slots: null, mdns: null, tags: null })
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {})
    assert.deepEqual([live.current.slots, live.current.mdns], [undefined, false])
  })

  it('are all taken or none, and the answer names what is wrong', async () => {
    const live = open()
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ slots: 2, minPrice: -1 }, /minPrice \(from the change\).*-1/],
      [{ slots: 2, slotz: 1 }, /"slotz" is not a setting.*slots/],
      [{ slots: 2, quietHours: ['late'] }, /quietHours.*22:00-07:00.*late/],
      [{ data: '/elsewhere' }, /data: a running node stays/],
      [{ constructor: 1 }, /"constructor" is not a setting/]
    ]
    for (const [patch, message] of cases)
      await assert.rejects(live.configure(patch), { name: 'ConfigError', message })
    assert.equal(live.current.slots, undefined)
    assert.deepEqual([applied, await readdir(folder)], [[], []])
  })

  it('are kept where only the owner reads, none lost when several come at the same time', async () => {
    await writeFile(file, '{}', { mode: 0o644 })
    const live = open()
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => live.configure({ [['slots', 'memoryMb'][i % 2]!]: 16 + i }))
    )
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { slots: 34, memoryMb: 35 })
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(folder), ['config.json'])
  })

  it('are not applied when they cannot be kept', async () => {
    const live = createLiveConfig(load(), join(folder, 'none', 'config.json'), config => applied.push(config))
    await assert.rejects(live.configure({ slots: 2 }), { name: 'ConfigError', message: /cannot write.*none/ })
    assert.deepEqual([live.current.slots, applied], [undefined, []])
    await mkdir(join(folder, 'none'))
    await live.configure({ slots: 2 })
    assert.equal(live.current.slots, 2)
  })
})
