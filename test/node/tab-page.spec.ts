import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FrameLocator, Page } from 'playwright-core'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from '../services/browser.ts'

const BUILT = fileURLToPath(new URL('../../services/gateway/ui/dist/volunteer.html', import.meta.url))
const WAIT_MS = 240_000

describe('node: the page "Lend this tab"', () => {
  let folder: string
  let node: ArtelNode
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page
  let lent: FrameLocator

  before(async () => {
    assert.ok(existsSync(BUILT), 'the page is not built: npm run build:ui')
    folder = await mkdtemp(join(tmpdir(), 'artel-tab-page-'))
    const flags = { data: folder, compute: false, logLevel: 'silent', 'gateway.port': 0 }
    const config = loadConfig({
      environment: {},
      flags: { ...flags, 'gateway.enabled': true, 'gateway.volunteers': true, trustedPeers: ['*'] }
    })
    node = await createNode(config, { founds: true })
  })

  after(async () => {
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const enter = async (options: Parameters<typeof openBrowser>[0] = {}): Promise<void> => {
    browser = await openBrowser(options)
    page = browser.page
    page.setDefaultTimeout(WAIT_MS)
    const token = (await readFile(join(folder, 'gateway-token'), 'utf8')).trim()
    await page.goto(`${node.gateway!.url}/#token=${token}`)
    await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
    lent = page.frameLocator('iframe')
  }
  afterEach(() => browser?.close())

  const isLent = (): boolean => node.scheduler.workers().length > 0
  /** Resolves with how many slices the tab did. */
  const compute = async (): Promise<number> => {
    const job = await node.submit({ type: 'map', range: { start: 1, end: 500 }, fn: 'x => x * 2' })
    const result = await job.result({ signal: AbortSignal.timeout(WAIT_MS) })
    assert.deepEqual(
      result,
      Array.from({ length: 500 }, (_, i) => 2 * (i + 1))
    )
    const { shares } = await job.settled()
    return shares.reduce((sum, { worker, slices }) => sum + (worker === node.id ? 0 : slices), 0)
  }

  it('lends from the dashboard, also while other pages are looked at, counts it and stops', async () => {
    await enter()
    await page.getByRole('link', { name: 'Lend this tab' }).click()
    await lent.getByText('Nothing is lent.').waitFor()
    assert.equal(isLent(), false)
    await lent.getByRole('button', { name: 'Lend this tab' }).click()
    await until(isLent, 'the tab is a worker', WAIT_MS)
    await page.getByRole('link', { name: 'Ledger', exact: true }).click()
    await page.getByRole('heading', { name: 'Ledger' }).waitFor()
    const slices = await compute()
    await page.getByRole('link', { name: 'Lend this tab' }).click()
    const meter = lent.locator('[data-meter=slices]')
    const counted = async (): Promise<number> => Number(await meter.textContent())
    await until(async () => (await counted()) >= slices, 'the meter shows all of it', WAIT_MS)
    await keepPicture(page, 'lend-works-1280-light')
    await lent.getByRole('button', { name: 'Stop' }).click()
    await lent.getByText('Nothing is lent.').waitFor()
    await until(() => !isLent(), 'the tab is gone', WAIT_MS)
    const before = await counted()

    // the meter is the browser's: it goes on where it was
    await page.reload()
    await until(async () => (await counted()) === before, 'what was lent before is counted', WAIT_MS)
    await lent.getByRole('button', { name: 'Lend this tab' }).click()
    await until(isLent, 'the tab is a worker again', WAIT_MS)
    await compute()
    await until(async () => (await counted()) > before, 'what comes now is added', WAIT_MS)
    assert.deepEqual(browser.errors, [])
  })

  it('keeps the limits that are set, and pauses while the page is not seen or the battery is used', async () => {
    await enter()
    // no battery is in a machine of tests
    await page.addInitScript(() => {
      const battery = Object.assign(new EventTarget(), { charging: true })
      Object.assign(navigator, { getBattery: async () => battery, battery })
    })
    await page.goto(`${node.gateway!.url}/volunteer`)
    await page.getByLabel('Cores').selectOption('1')
    await page.getByLabel('Share of their time').selectOption('100')
    assert.equal(await page.getByLabel('Not while this computer runs on its battery').isChecked(), true)
    await page.getByLabel('Only while I look at this page').check()
    await page.reload()
    assert.equal(await page.getByLabel('Cores').inputValue(), '1')
    assert.equal(await page.getByLabel('Share of their time').inputValue(), '100')
    assert.equal(await page.getByLabel('Only while I look at this page').isChecked(), true)

    await page.getByRole('button', { name: 'Lend this tab' }).click()
    const takesWork = (): boolean => node.scheduler.workers().some(({ slots }) => slots === 1)
    await until(takesWork, 'the tab takes work', WAIT_MS)
    const turn = (to: object): Promise<void> =>
      page.evaluate(changed => {
        const { battery } = navigator as never as { battery: EventTarget }
        const { charging, seen } = changed as { charging?: boolean; seen?: boolean }
        if (charging != null) Object.assign(battery, { charging }).dispatchEvent(new Event('chargingchange'))
        if (seen == null) return
        const visibilityState = seen ? 'visible' : 'hidden'
        Object.defineProperty(document, 'visibilityState', { value: visibilityState, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }, to)
    for (const [off, on, said] of [
      [{ charging: false }, { charging: true }, 'Pauses: this computer runs on its battery.'],
      [{ seen: false }, { seen: true }, 'Pauses: this page is not seen.']
    ] as const) {
      await turn(off)
      await page.getByText(said).waitFor()
      await until(() => !takesWork(), 'the tab takes nothing', WAIT_MS)
      await turn(on)
      await until(takesWork, 'the tab takes work again', WAIT_MS)
    }
    await compute()
    assert.deepEqual(browser.errors, [])
  })

  for (const [locale, colorScheme] of [
    ['en-GB', 'light'],
    ['ru-RU', 'dark']
  ] as const)
    it(`is accessible in ${locale} and ${colorScheme}, and fits 400 px, alone and in the dashboard`, async () => {
      await enter({ locale, colorScheme })
      const name = locale.startsWith('ru') ? 'Одолжить вкладку' : 'Lend this tab'
      await page.getByRole('link', { name }).click()
      await lent.locator('button').waitFor()
      assert.deepEqual(await seriousFindings(page), [])
      for (const width of [400, 1280, 3840]) {
        assert.deepEqual(await overflowing(page, width), [])
        await keepPicture(page, `lend-${width}-${colorScheme}`)
      }
      // the language of the dashboard is that of its frame
      await page.setViewportSize({ width: 1280, height: 800 })
      assert.equal(await lent.locator('html').getAttribute('lang'), locale.slice(0, 2))
      await page.goto(`${node.gateway!.url}/volunteer`)
      await page.getByRole('button').waitFor()
      assert.deepEqual(await seriousFindings(page), [])
      for (const width of [400, 1280]) {
        assert.deepEqual(await overflowing(page, width), [])
        await keepPicture(page, `volunteer-${width}-${colorScheme}`)
      }
      assert.deepEqual(browser.errors, [])
    })
})
