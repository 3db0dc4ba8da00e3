import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createServer, type Server } from 'node:tls'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { ownAddress, until } from '../bootstrap/nodes.ts'
import { launchChromium } from '../services/browser.ts'

const WAIT_MS = 240_000

/** As bootstrap/deploy/README.md says it is done on the net, with names that lead to loopback. */
describe('node: a tab that lends over https', () => {
  let folder: string
  let node: ArtelNode
  let chromium: Browser
  const doors: Server[] = []

  /** TLS before what listens there. */
  async function openDoor(at: () => { host: string; port: number }): Promise<number> {
    const [key, cert] = await Promise.all(['key', 'cert'].map(name => readFile(join(folder, `${name}.pem`))))
    const door = createServer({ key, cert }, socket => {
      // either side goes away whenever it likes
      pipeline(socket, connect(at()), socket).catch(() => undefined)
    })
    doors.push(door)
    return listening(door)
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-tls-'))
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
    const asked = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=seed.test', ...files]
    await promisify(execFile)('openssl', asked)
    // its address is announced before it listens
    const { listen, ...behind } = ownAddress()
    const flags = {
      data: join(folder, 'node'),
      compute: false,
      logLevel: 'silent',
      trustedPeers: ['*'],
      listen: [`${listen}/ws`],
      announce: [`/dns4/node.seed.test/tcp/${await openDoor(() => behind)}/wss`]
    }
    const gateway = { 'gateway.enabled': true, 'gateway.port': 0, 'gateway.volunteers': true }
    const config = loadConfig({
      environment: {},
      flags: { ...flags, ...gateway, 'gateway.serverNames': ['seed.test'] }
    })
    node = await createNode(config, { founds: true })
    chromium = await launchChromium(['--host-resolver-rules=MAP *.test 127.0.0.1'])
  })

  after(async () => {
    await chromium?.close()
    for (const door of doors) await new Promise(resolve => door.close(resolve))
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('computes for a node that stands behind a proxy, under other names', async () => {
    const port = await openDoor(() => ({ host: '127.0.0.1', port: Number(new URL(node.gateway!.url!).port) }))
    const context = await chromium.newContext({ ignoreHTTPSErrors: true })
    context.setDefaultTimeout(WAIT_MS)
    const page = await context.newPage()
    await page.goto(`https://seed.test:${port}/volunteer`)
    await page.getByRole('button', { name: 'Lend this tab' }).click()
    await until(() => node.scheduler.workers().length === 1, 'the tab is a worker', WAIT_MS)
    const job = await node.submit({ type: 'map', items: [1, 2, 3], fn: 'x => x * 7' })
    assert.deepEqual(await job.result({ signal: AbortSignal.timeout(WAIT_MS) }), [7, 14, 21])
    const { shares } = await job.settled()
    await page.locator('[data-meter=account]').filter({ hasText: shares[0]!.worker }).waitFor()
    await context.close()
  })

  it('lends nothing on a page that came over http from elsewhere, and says why', async () => {
    const context = await chromium.newContext()
    const page = await context.newPage()
    page.setDefaultTimeout(WAIT_MS)
    await page.goto(`http://seed.test:${new URL(node.gateway!.url!).port}/volunteer`)
    await page.getByRole('button', { name: 'Lend this tab' }).click()
    await page.getByText('came over https').waitFor()
    await context.close()
  })
})

function listening(server: Server): Promise<number> {
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}
