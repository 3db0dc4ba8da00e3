import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { microOf } from '../../../services/assistant/page/sums.ts'
import { type Browser, looksRight, openDashboard, overflowing, useChromium } from '../browser.ts'
import { startAssistant } from './assistant-node.ts'

const PEER = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'

describe('assistant: page', function () {
  this.timeout(600_000)
  let assistant: Awaited<ReturnType<typeof startAssistant>>
  let ann: Awaited<ReturnType<(typeof assistant)['user']>>
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  before(async () => {
    assistant = await startAssistant()
    ann = await assistant.user()
    const models = [{ id: 'artel-n-grams', use: 'embeddings' }]
    await assistant.call('put', { name: 'own', provider: { kind: 'local', isSold: true, models } })
    const bought = { kind: 'peer', peer: PEER, models: [{ id: 'large' }] }
    await assistant.call('put', { name: 'bought', provider: bought })
    // asked once, then from the cache: one of four is asked for
    for (let i = 0; i < 4; i++) await ask('the same')
  })
  after(() => assistant?.[Symbol.asyncDispose]())
  afterEach(() => browser.close())

  const ask = (content: string) =>
    ann.client.chat.completions.create({
      model: 'm',
      temperature: 0,
      max_tokens: 100,
      messages: [{ role: 'user', content }]
    })

  async function open(locale: string, width: number, scopes?: string[]): Promise<void> {
    const { token } = await assistant.user(scopes ?? ['admin'])
    browser = await openDashboard(openBrowser, { url: assistant.url, token }, locale, width)
    page = browser.page
    await page.getByRole('link', { name: 'assistant' }).click()
  }
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click()
  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })
  const look = (name: string): Promise<void> => looksRight(page, `assistant-${name}`)

  it('shows six figures with their limits, the cache, users whose quota is set, and what was spent', async () => {
    await open('en-GB', 1280)
    const measures = page.getByRole('region', { name: /^Six figures/ })
    await measures.getByText('limit 1,000 MB').waitFor()
    assert.equal(await measures.getByRole('progressbar').count(), 6)
    await page.getByRole('region', { name: 'Cache' }).getByText('75%').waitFor()
    await page.getByText(/· m, shared, always/).waitFor()
    await page.getByText('this network itself · artel-n-grams · sold to other nodes').waitFor()
    await page.getByText(`node ${PEER} · large`).waitFor()
    await look('overview-1280')

    await tab('Users')
    const { spent } = await assistant.account(ann.id)
    const row = page.getByRole('listitem').filter({ hasText: ann.id })
    await row.getByText(`${Number(spent) / 1e6} credits spent, quota as everybody`).waitFor()
    await row.getByRole('button', { name: /^Quota of/ }).click()
    await page.getByLabel(/^Credits that may/).fill('much')
    await page.getByText('Write an amount such as').waitFor()
    await page.getByLabel(/^Credits that may/).fill('0.000001')
    await button('Save').click()
    await row.getByText(/of 0.000001 credits spent/).waitFor()
    await look('users-1280')
    await assert.rejects(ask('another'), { status: 402 })
    await row.getByRole('button', { name: /^Quota of/ }).click()
    await page.getByLabel(/^Credits that may/).fill('')
    await button('Save').click()
    await row.getByText(/quota as everybody/).waitFor()

    await tab('Costs')
    await page.getByRole('row', { name: /^All 1 3 ?75% / }).waitFor()
    await page.getByText('Model', { exact: true }).click()
    await page.getByRole('row', { name: /^m 1 3/ }).waitFor()
    await look('costs-1280')

    await tab('Users')
    await row.getByRole('button', { name: /^Forget/ }).click()
    await button('Forget').click()
    await row.waitFor({ state: 'detached' })
    assert.deepEqual([...browser.hosts], [new URL(assistant.url).host])
  })

  it('fits a phone, in Russian', async () => {
    await ask('once more')
    await open('ru-RU', 400)
    await page.getByText('сама эта сеть · artel-n-grams').waitFor()
    await page.getByText('предел 1 000 МБ'.replace(' ', '\u00a0')).waitFor()
    for (const [name, text] of [
      ['Обзор', 'Кэш'],
      ['Пользователи', 'квота как у всех'],
      ['Расходы', 'Всего']
    ] as const) {
      await tab(name)
      await page.getByText(text).first().waitFor()
      assert.deepEqual(await overflowing(page, 400), [], name)
      await look(`400-${name}`)
    }
    assert.deepEqual(browser.errors, [])
  })

  it('shows who may only read no users', async () => {
    await open('en-GB', 1280, ['read', 'assistant:read'])
    await page.getByText('limit 1,000 MB').waitFor()
    assert.equal(await page.getByRole('alert').count(), 0)
    await tab('Users')
    await page.getByRole('alert').getByText('needs the scope assistant:admin').waitFor()
  })

  it('takes amounts as people write them', () => {
    const amounts = ['5', '0.25', '0,000001', '.5', '1e3', '-1', '1.0000001']
    assert.deepEqual(amounts.map(microOf), [
      5_000_000n,
      250_000n,
      1n,
      undefined,
      undefined,
      undefined,
      undefined
    ])
  })
})
