import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launchChromium, openBrowser } from '../test/services/browser.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { end } from './harness/process.ts'
import { summary } from './harness/statistics.ts'

const KB = 1000

export const metrics: Record<string, string> = {
  'dashboard.first-load':
    'bytes over the line, compressed, until the overview of the dashboard is there and live',
  'dashboard.interactive':
    'address entered until the overview is there and live, empty cache, Chromium on this machine'
}

/** A seed alone, and a browser with an empty cache for every run. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const data = join(folder, 'seed')
  const flags = ['--compute', 'false', '--gateway-enabled', 'true', '--gateway-port', '0']
  const seed = await startNode('seed', data, flags)
  started.defer(() => end(seed.process))
  const { url } = JSON.parse(await readFile(join(data, 'gateway.json'), 'utf8')) as { url: string }
  const token = (await readFile(join(data, 'gateway-token'), 'utf8')).trim()

  const sizes: number[] = []
  const times: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const { bytes, ms } = await firstLook(`${url}/#token=${token}`)
    if (round === 0) continue // files are in the page cache from here on
    sizes.push(bytes / KB)
    times.push(ms)
  }
  return [summary('dashboard.first-load', 'kB', sizes), summary('dashboard.interactive', 'ms', times)]
}

async function firstLook(address: string): Promise<{ bytes: number; ms: number }> {
  const chromium = await launchChromium()
  try {
    const { page, context } = await openBrowser(chromium)
    const cdp = await context.newCDPSession(page)
    let bytes = 0
    cdp.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength
    })
    await cdp.send('Network.enable')
    await page.goto(address, { waitUntil: 'commit' })
    await page.getByRole('img', { name: 'Live: connected to the node' }).waitFor()
    await page.getByRole('link', { name: 'Compose a job' }).first().waitFor()
    return { bytes, ms: await page.evaluate(() => performance.now()) }
  } finally {
    await chromium.close()
  }
}
