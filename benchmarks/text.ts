import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Row, RunOptions } from './harness/contract.ts'
import { type Fleet, startFleet } from './harness/fleet.ts'
import { ROOT } from './harness/report.ts'
import { beside, besideRows } from './harness/statistics.ts'
import { dask, peerVersions, present, startPython, startWordThreads } from './peers/index.ts'

const DASK = 'dask.bag'
const PEERS = [{ ...dask, name: DASK }]
const MB = 1_000_000

export const metrics: Record<string, string> = {
  'text.word-count':
    'words counted with map_reduce in the Markdown files of the installed packages, two workers',
  'text.share': 'speed of text.word-count as a multiple of the peer',
  'text.at-home': 'text.word-count at a node that lends two slots and finds nobody else',
  'text.at-home-share': 'speed of text.at-home as a multiple of the peer'
}

export const versions = () => peerVersions(PEERS)

/** Real text that every checkout has: a file is an item. The counts of all must agree. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const texts = markdown(quick ? 100 : 10_000)
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const rate = (ms: number): number => (bytes * 1000) / ms / MB
  await using fleet = await startFleet({ workers: 2 })
  await using home = await startFleet({ workers: 0, slots: 2 })
  await using stack = new AsyncDisposableStack()
  const map = 'text => (text.match(/[A-Za-z]+/g) ?? []).map(word => [word, 1])'
  const spec = { type: 'map_reduce', items: texts, map, reduce: 'sum', verify: 'none' }
  let counted: [string, number][] = []
  const artel =
    ({ client }: Fleet) =>
    async (): Promise<number> => {
      const { ms, value } = await client.call('job', spec)
      counted = value as [string, number][]
      return rate(ms)
    }
  type Counted = { ms: number; counts: Record<string, number> }
  const alike = ({ ms, counts }: Counted): number => {
    const differs = counted.find(([word, count]) => counts[word] !== count)
    if (differs != null || Object.keys(counts).length !== counted.length)
      throw new Error(`the counts differ, for instance of ${differs?.[0]}`)
    return rate(ms)
  }
  const threads = startWordThreads()
  stack.defer(threads.stop)
  const worker_threads = async (): Promise<number> => alike(await threads.count(texts))
  const peers: Record<string, () => Promise<number>> = { worker_threads }
  if ((await present(PEERS)).has(DASK)) {
    const { ask, stop } = await startPython('dask')
    stack.defer(stop)
    peers[DASK] = async () => alike(await ask<Counted>({ run: 'words', texts }))
  }
  const rounds = quick ? 1 : 3
  const rates = await beside(rounds, artel(fleet), peers, failed)
  const atHome = await beside(rounds, artel(home), { worker_threads }, failed)
  return [
    ...besideRows('text.word-count', 'MB/s', rates, 'text.share'),
    ...besideRows('text.at-home', 'MB/s', atHome, 'text.at-home-share')
  ]
}

function markdown(most: number): string[] {
  const folder = join(ROOT, 'node_modules')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.md'))
    .sort()
    .slice(0, most)
    .map(file => readFileSync(join(folder, file), 'utf8'))
}
