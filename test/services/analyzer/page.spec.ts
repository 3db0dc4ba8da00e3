import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { asCsv } from '../../../services/analyzer/page/rows.ts'
import { until } from '../../bootstrap/nodes.ts'
import { type Browser, looksRight, openDashboard, overflowing, useChromium } from '../browser.ts'

const APPEARS_MS = 120_000

describe('analyzer: page', function () {
  this.timeout(600_000)
  let folder: string
  let node: ArtelNode
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-analyzer-page-'))
    const flags = {
      data: join(folder, 'node'),
      logLevel: 'silent',
      trustedPeers: ['*'],
      slots: 1,
      'gateway.enabled': true,
      'gateway.port': 0,
      'analyzer.enabled': true
    }
    node = await createNode(loadConfig({ environment: {}, flags }), { role: 'seed' })
  })
  after(async () => {
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => browser.close())

  async function open(locale: string, width: number): Promise<void> {
    browser = await openDashboard(openBrowser, node.gateway!, locale, width)
    page = browser.page
    await page.getByRole('link', { name: 'analyzer' }).click()
  }
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const cells = (of: string): Promise<string[]> =>
    page.getByRole('region', { name: of }).getByRole('row').allInnerTexts()
  const look = (name: string): Promise<void> => looksRight(page, `analyzer-${name}`)

  it('shows what there is while it counts, ends the job with the page, and saves the answer', async () => {
    await open('en-GB', 1280)
    await page.getByLabel('Cards of a hand').fill('7')
    await button('Count').click()
    const soFar = page.getByRole('region', { name: 'So far' })
    await soFar.getByRole('row', { name: /^flush/ }).waitFor()
    assert.equal((await cells('So far')).length, 11)
    await look('live-1280')
    const href = await soFar.getByRole('link', { name: 'Its job' }).getAttribute('href')
    await button('Stop').click()
    await page.getByRole('alert').getByText('Stopped').waitFor()
    const isCancelled = async (): Promise<boolean> => {
      const response = await fetch(`${node.gateway!.url}/api/v1/tasks/${href!.split('/').at(-1)}`, {
        headers: { authorization: `Bearer ${node.gateway!.token}` }
      })
      return ((await response.json()) as { state: string }).state === 'cancelled'
    }
    await until(isCancelled, 'the job is cancelled', APPEARS_MS)

    await page.getByLabel('What to count').selectOption('Lottery tickets')
    await page.getByLabel(/^Tickets/).fill('1,2,3,4,5,6')
    await button('Count').click()
    await page.getByRole('region', { name: 'Answer' }).waitFor()
    // C(6, k) · C(43, 6 − k)
    const draws = [6_096_454, 5_775_588, 1_851_150, 246_820, 13_545, 258, 1]
    const rows = (await cells('Answer')).slice(1).map(row => row.split(/\s+/).slice(0, 2))
    assert.deepEqual(
      rows,
      draws.map((count, hits) => [String(hits), count.toLocaleString('en-GB')])
    )
    await look('answer-1280')
    const download = page.waitForEvent('download')
    await button('Save as CSV').click()
    const text = await readFile(await (await download).path(), 'utf8')
    assert.deepEqual(text.split('\r\n').slice(0, 3), ['Case,Times', '0,6096454', '1,5775588'])

    await page.getByLabel('What to count').selectOption('A space and a function of your own')
    await button('Count').click()
    await page.getByRole('row', { name: /^18 / }).waitFor()
    assert.equal((await cells('Answer')).length, 17, 'three dice show 3 to 18')
    await page.getByLabel('Function of an item').fill('dice => nothing')
    await button('Count').click()
    await page
      .getByRole('alert')
      .getByText(/nothing/)
      .waitFor()
    await page.getByLabel('Space, as JSON').fill('{')
    await button('Count').click()
    await page.getByRole('alert').getByText('The space is no JSON').waitFor()
    assert.deepEqual([...browser.hosts], [new URL(node.gateway!.url!).host])
  })

  it('fits a phone, in Russian', async () => {
    await open('ru-RU', 400)
    await page.getByLabel('Что считать').selectOption('Дилер в блэкджеке')
    await button('Посчитать').click()
    await page.getByRole('row', { name: /^перебор 0,420823/ }).waitFor()
    assert.deepEqual(await overflowing(page, 400), [])
    await look('400-dealer')
    await page.getByLabel('Что считать').selectOption('Игрок в блэкджеке')
    await page.getByLabel('Открытая карта').fill('10')
    await button('Посчитать').click()
    await page.getByRole('row', { name: /^взять карту/ }).waitFor()
    assert.deepEqual(await overflowing(page, 400), [])
    await look('400-player')
    await page.getByLabel('Что считать').selectOption('Ферзи на доске')
    await page.getByLabel('Ферзей').fill('8')
    await button('Посчитать').click()
    await page.getByRole('region', { name: 'Ответ' }).getByText('92', { exact: true }).waitFor()
    await page.getByLabel('Что считать').selectOption('Своё пространство и своя функция')
    assert.deepEqual(await overflowing(page, 400), [])
    await look('400-own')
    assert.deepEqual(browser.errors, [])
  })

  it('saves cells that no spreadsheet calculates', () => {
    const bars = [
      { label: '=1+1', value: 2, share: 1 },
      { label: '-3', value: 1, share: 0 },
      { label: 'a,"b"', value: 1, share: 0 }
    ]
    assert.equal(asCsv(['Case', 'Times'], bars), 'Case,Times\r\n\'=1+1,2\r\n-3,1\r\n"a,""b""",1')
  })
})
