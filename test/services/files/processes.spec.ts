import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digest, seeded } from '../../../node/demo/seeded.ts'
import {
  openServiceNetwork,
  type ServiceNetwork,
  type ServiceNode
} from '../../../node/demo/service-network.ts'
import { until } from '../../bootstrap/nodes.ts'

const MB = 1_000_000
// Real seconds: a node that is gone is replaced within the test.
const QUICK = { graceSeconds: 2, checkSeconds: 1, lendMb: 500, lendPerPeerMb: 500, allowedPeers: ['*'] }
const FILE_MB = Number(process.env.ARTEL_FILE_MB ?? 0)
// larger than MAX_GROWTH, so that a node that held it whole would be seen
const FILE_BYTES = (FILE_MB || 320) * MB
// in whose middle a node is killed
const CUT_BYTES = (FILE_MB || 64) * MB
// What a node may grow by while a file of any size passes through it: buffers of streams, and garbage.
const MAX_GROWTH = 280 * MB

interface Info {
  cid: string
  holders: { peer: string; state: string; bytes: number }[]
}

const proved = async (owner: ServiceNode, file: string): Promise<string[]> =>
  (await owner.call<Info>('info', { file })).holders
    .filter(({ state }) => state === 'proved')
    .map(({ peer }) => peer)

async function blocksOn({ folder }: ServiceNode): Promise<number> {
  const all = await readdir(join(folder, 'services/files/blocks'), { recursive: true, withFileTypes: true })
  return all.filter(entry => entry.isFile()).length
}

describe('files: real processes', function () {
  this.timeout(600_000)
  let folder: string
  let nodes: ServiceNetwork
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-files-'))
    nodes = await openServiceNetwork(folder, 'files')
  })
  afterEach(async () => {
    await nodes[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  it('restore the replicas when one is killed in the middle of its copy, in bounded memory, byte for byte', async () => {
    const owner = await nodes.start('owner', QUICK)
    const others = await Promise.all(['a', 'b', 'c'].map(name => nodes.start(name, QUICK)))
    const before = await Promise.all([owner, ...others].map(node => node.call<number>('rss')))
    let most = before.map(() => 0)
    const watch = async (): Promise<void> => {
      const rss = await Promise.all([owner, ...others].map(node => node.call<number>('rss').catch(() => 0)))
      most = most.map((value, i) => Math.max(value, rss[i]!))
    }
    const { cid } = await owner.call<Info>('seeded', {
      seed: 'big',
      bytes: FILE_BYTES,
      name: 'big',
      replicas: 2
    })
    let victim: ServiceNode | undefined
    await until(async () => {
      await watch()
      const { holders } = await owner.call<Info>('info', { file: cid })
      // on a machine where nobody looks for long it may be whole
      const begun = holders.filter(({ bytes }) => bytes > 0)
      const copying = begun.find(({ state }) => state === 'copying') ?? begun[0]
      victim = others.find(({ id }) => id === copying?.peer)
      return victim != null
    }, 'a copy is under way')
    await victim!.kill()
    const left = others.filter(node => node !== victim)
    await until(
      async () => {
        await watch()
        return (await proved(owner, cid)).length === 2
      },
      'two replicas',
      240_000
    )
    assert.deepEqual((await proved(owner, cid)).sort(), left.map(({ id }) => id).sort())
    const expected = await digest(seeded('big', FILE_BYTES))
    for (const node of [owner, ...left]) assert.equal(await node.call('digest', { file: cid }), expected)
    await watch()
    const growth = most.map((value, i) => value - before[i]!)
    assert.ok(Math.max(...growth) < MAX_GROWTH, `grew by ${growth.map(bytes => Math.round(bytes / MB))} MB`)

    // unpinned here, gone there
    await owner.call('unpin', { file: 'big' })
    await until(
      async () => (await Promise.all([owner, ...left].map(blocksOn))).every(n => n === 0),
      'all let go'
    )
    assert.ok(await nodes.end())
  })

  it('go on with an add and with a get after kill -9', async () => {
    const source = join(folder, 'source')
    await writeFile(source, seeded('source', CUT_BYTES))
    const owner = await nodes.start('owner')
    const half = CUT_BYTES / 2
    const adding = { operation: 'add', input: { path: source, name: 'it' }, at: half }
    await assert.rejects(owner.call('killed', adding), /has ended/)
    const before = await blocksOn(owner)
    assert.ok(before > 0)
    const again = await nodes.start('owner')
    await until(
      () =>
        again.call('info', { file: 'it' }).then(
          () => true,
          () => false
        ),
      'the add has gone on by itself'
    )
    const { cid } = await again.call<Info>('info', { file: 'it' })

    let reader = await nodes.start('reader')
    const target = join(folder, 'target')
    const getting = { operation: 'get', input: { file: cid, path: target }, at: half }
    await assert.rejects(reader.call('killed', getting), /has ended/)
    const had = await blocksOn(reader)
    assert.ok(had > 0)
    reader = await nodes.start('reader')

    await reader.call('get', { file: cid, path: target })
    assert.equal(await digest(createReadStream(target)), await digest(seeded('source', CUT_BYTES)))
    assert.deepEqual(
      (await readdir(folder)).filter(name => name.includes('target')),
      ['target']
    )
  })
})
