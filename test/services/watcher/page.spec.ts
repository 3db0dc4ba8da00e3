import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { COURT_PASSWORD, type Court, caseOf, courtRule, openCourt } from '../../../node/demo/court.ts'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { type Browser, looksRight, openDashboard, overflowing, useChromium } from '../browser.ts'

const COUNT = 120

describe('watcher: page', function () {
  this.timeout(600_000)
  let folder: string
  let court: Court
  let node: ArtelNode
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-watch-page-'))
    court = await openCourt(COUNT)
    court.cases.set('2-7/2026', caseOf(7, 'Щербаков против <b>Воды</b>'))
    const flags = {
      data: join(folder, 'node'),
      logLevel: 'silent',
      compute: false,
      'gateway.enabled': true,
      'gateway.port': 0,
      'watch.enabled': true,
      'watch.openHosts': [court.host],
      'watch.pauseSeconds': 0
    }
    node = await createNode(loadConfig({ environment: {}, flags }), { role: 'seed' })
    await call('secret', { name: 'court', value: COURT_PASSWORD, site: court.url })
  })
  after(async () => {
    await node?.stop()
    await court?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => browser.close())

  const call = (operation: string, input: object): Promise<unknown> =>
    node.services.call('watch', operation, input, { caller: OWNER })

  async function open(locale: string, width: number): Promise<void> {
    browser = await openDashboard(openBrowser, node.gateway!, locale, width)
    page = browser.page
    await page.getByRole('link', { name: 'artel/watch/1' }).click()
  }
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click()
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const box = (name: string) => page.getByRole('textbox', { name, exact: true })
  const look = (name: string): Promise<void> => looksRight(page, `watcher-${name}`)

  it('has a rule written with what it finds beside it, finds in both scripts, and tells what changes', async () => {
    await open('en-GB', 1280)
    await page.getByText('No items yet').waitFor()
    await tab('Rules')
    await button('New rule').click()
    await page.getByLabel(/^Short name/).fill('court')
    await page.getByText('JSON', { exact: true }).click()
    const json = page.getByLabel(/^Rule as JSON/)
    await json.fill('{')
    await page.getByText('This is no JSON').waitFor()
    const { pages: _, ...rule } = courtRule(court.url, 1)
    const { room: __, ...fields } = rule.extract.fields
    await json.fill(JSON.stringify({ ...rule, extract: { ...rule.extract, fields } }))
    await page.getByText('Form', { exact: true }).click()
    await box('Name').fill('Court of Minsk')
    await button('Save').click()
    await page.getByRole('heading', { name: 'Court of Minsk' }).waitFor()
    await page.getByText('No pages are kept yet').waitFor()
    await button('All rules').click()
    await button('Look now at Court of Minsk').click()
    await page.getByText(`${COUNT} items, 0 changes`).waitFor()
    await look('rules-1280')

    await button('Change Court of Minsk').click()
    const test = page.getByRole('region', { name: 'What it would find' })
    await test.getByText(`${COUNT} items, 0 changes`).waitFor()
    // as it is written: another field, and rows that are none
    await button('Add a field').click()
    await box('Field').last().fill('room')
    await box('Selector').last().fill('.room')
    await test.getByRole('columnheader', { name: 'room' }).waitFor()
    await test.getByRole('cell', { name: '3А' }).first().waitFor()
    await look('editor-1280')
    await box('Selector').first().fill('div.none')
    await test.getByText(/It would not be believed/).waitFor()
    await box('Selector').first().fill('table.cases[')
    await test.getByRole('alert').waitFor()
    await box('Selector').first().fill('table.cases tbody tr')
    await test.getByText(`${COUNT} items, 0 changes`).waitFor()
    await button('Save').click()
    await button('All rules').click()
    await button('Look now at Court of Minsk').click()
    assert.equal(court.logins, 1)

    await tab('Search')
    const found = page.getByRole('list', { name: 'Search' }).getByRole('listitem')
    for (const words of ['Shcherbakov', 'щербаков', 'Scherbakov']) {
      await page.getByLabel(/^Words/).fill(words)
      await found.getByText('parties: Щербаков против <b>Воды</b>').waitFor()
      await page.getByText('2-8/2026', { exact: true }).waitFor({ state: 'detached' })
      await until(async () => (await found.count()) === 1, `one is found by ${words}`)
    }
    await look('search-1280')
    const download = page.waitForEvent('download')
    await button('Save as CSV').click()
    assert.match(await readFile(await (await download).path(), 'utf8'), /2-7\/2026,Щербаков/)
    await page.getByLabel(/^Words/).fill('Nobody')
    await page.getByText('Nothing has these words').waitFor()

    await tab('Subscriptions')
    const form = page.getByRole('form', { name: 'New subscription' })
    await form.getByLabel(/^Short name/).fill('me')
    await form.getByRole('textbox', { name: 'Name', exact: true }).fill('Water')
    await form.getByLabel(/^Words/).fill('Щербаков')
    await form.getByLabel(/^Only when/).fill('room')
    await form.getByLabel('Condition').selectOption('is above')
    await form.getByLabel('Text or number').fill('2')
    await form.getByLabel('gone').uncheck()
    await form.getByLabel('Address').fill('me@example.org')
    await form.getByLabel(/^Digest/).fill('61 * * * *')
    await form.getByRole('button', { name: 'Subscribe' }).click()
    await page.getByRole('alert').getByText(/61/).waitFor()
    await form.getByLabel(/^Digest/).fill('0 9 * * 1-5')
    await form.getByRole('button', { name: 'Subscribe' }).click()
    await page
      .getByText(/Щербаков · room is above 2 · new, changed, back again · me@example.org · 0 9/)
      .waitFor()
    await look('subscriptions-1280')
    await button('End the subscription Water').click()
    await page.getByText('Nobody is told').waitFor()

    await tab('Events')
    await page.getByText('Nothing has changed yet').waitFor()
    court.cases.set('2-8/2026', { ...court.cases.get('2-8/2026')!, room: '9' })
    court.cases.set('2-999/2026', caseOf(999, 'Вода против Щербакова'))
    await call('run', { id: 'court' })
    await page.getByText(/room: 1 → 9 · Court of Minsk/).waitFor()
    assert.equal(await page.getByRole('list', { name: 'Events' }).getByRole('listitem').count(), 2)
    await look('events-1280')

    await tab('Rules')
    await button('Remove Court of Minsk').click()
    await button('Remove').click()
    await page.getByText('No rules yet').waitFor()
    assert.deepEqual([...browser.hosts], [new URL(node.gateway!.url!).host])
  })

  it('fits a phone, in Russian', async () => {
    await call('put', { id: 'court', rule: courtRule(court.url, 1), isPaused: true })
    await call('run', { id: 'court' })
    court.cases.delete('2-9/2026')
    for (let i = 0; i < 2; i++) await call('run', { id: 'court' })
    await open('ru-RU', 400)
    for (const [name, text] of [
      // a hundred of them, in the order in which the court happened to list them
      ['Поиск', '/2026'],
      ['События', '2-9/2026'],
      ['Подписки', 'Пока никому'],
      ['Правила', 'в порядке']
    ] as const) {
      await tab(name)
      await page.getByText(text).first().waitFor()
      assert.deepEqual(await overflowing(page, 400), [], name)
      await look(`400-${name}`)
    }
    const channel = { kind: 'email', to: 'me@example.org' }
    await call('subscribe', { id: 'me', subscription: { name: 'Все', channel } })
    await tab('Подписки')
    await page.getByLabel(/^Только когда/).fill('room')
    await page.getByLabel('Условие').selectOption('подходит под образец')
    assert.deepEqual(await overflowing(page, 400), [])
    await look('400-when')
    await tab('Правила')
    await button('Изменить Суд').click()
    await page.getByText(/Получит me, событий 1:.*2-9\/2026/s).waitFor()
    await page.getByRole('columnheader', { name: 'parties' }).waitFor()
    assert.deepEqual(await overflowing(page, 400), [])
    await look('400-editor')
    assert.deepEqual(browser.errors, [])
  })
})
