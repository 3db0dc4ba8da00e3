import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openServiceNetwork } from '../node/demo/service-network.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { beside, besideRows, summary } from './harness/statistics.ts'
import { startStreams } from './peers/index.ts'

const MB = 1_000_000

export const metrics: Record<string, string> = {
  'files.add': 'a file of 128 MB put into the service files: cut, hashed, written block by block',
  'files.read': 'the same read from there, every block verified',
  'files.fetch': 'the same fetched by its CID from another process, every block verified and written',
  'files.fetch-share': 'speed of files.fetch as a multiple of the peer'
}

/** Two nodes as processes of their own, beside the same bytes over a bare libp2p stream and TCP, which keep nothing. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const bytes = (quick ? 16 : 128) * MB
  await using ended = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  ended.defer(() => rm(folder, { recursive: true, force: true }))
  const network = ended.use(await openServiceNetwork(folder, 'files'))
  const owner = await network.start('owner')
  const reader = await network.start('reader')
  await using streams = await startStreams()
  const rate = (ms: number): number => (bytes * 1000) / ms / MB
  async function timed(work: () => Promise<unknown>): Promise<number> {
    const startedAt = performance.now()
    await work()
    return rate(performance.now() - startedAt)
  }
  const added: number[] = []
  const read: number[] = []
  let round = 0
  const fetched = await beside(
    rounds,
    async () => {
      const seed = `round ${round++}`
      let cid = ''
      added.push(
        await timed(async () => {
          cid = (await owner.call<{ cid: string }>('seeded', { seed, bytes, name: seed })).cid
        })
      )
      read.push(await timed(() => owner.call('digest', { file: cid })))
      const speed = await timed(() => reader.call('pin', { file: cid }))
      await Promise.all([owner, reader].map(node => node.call('unpin', { file: cid })))
      return speed
    },
    {
      'libp2p stream': async () => rate(await streams.libp2p.in(bytes)),
      TCP: async () => rate(await streams.tcp.in(bytes))
    },
    failed
  )
  return [
    summary('files.add', 'MB/s', added),
    summary('files.read', 'MB/s', read),
    ...besideRows('files.fetch', 'MB/s', fetched, 'files.fetch-share')
  ]
}
