import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { APP, button, line, say, signIn, signOut } from '../../../node/demo/chat-page.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from '../browser.ts'
import { openGateways } from './gateways.ts'
import { enter, tab } from './page-steps.ts'
import { until } from './school.ts'

const APPEARS_MS = 120_000
const PASSWORD = 'correct horse battery'
const LIST = 'login;name;role\nann;Ann;pupil\nkim;Kim;teacher\n'

describe('messenger: page of people without a computer', function () {
  this.timeout(600_000)
  let school: Awaited<ReturnType<typeof openGateways>>
  const openBrowser = useChromium()
  let owner: Browser
  let ann: Browser
  let kim: Browser
  let recovery = ''
  const first: Record<string, string> = {}

  before(async () => {
    school = await openGateways({ isFounded: true, ofDesk: { 'messenger.hosted': 3 } })
    owner = await open()
    ann = await open()
    kim = await open('ru-RU', 400)
  })
  after(async () => {
    for (const each of [owner, ann, kim]) await each?.close()
    await school?.[Symbol.asyncDispose]()
  })

  async function open(locale = 'en-GB', width = 1280): Promise<Browser> {
    const browser = await openBrowser({ locale })
    browser.page.setDefaultTimeout(APPEARS_MS)
    await browser.page.setViewportSize({ width, height: 900 })
    return browser
  }
  async function look(page: Page, name: string): Promise<void> {
    const { width } = page.viewportSize()!
    assert.deepEqual(await seriousFindings(page), [], name)
    assert.deepEqual(await overflowing(page, width), [], name)
    await keepPicture(page, `hosted-${width}-${name}`, true)
  }
  const url = (): string => `${school.desk.gateway!.url}${APP}`
  async function type(page: Page, name: string, password: string): Promise<void> {
    await page.getByRole('tab', { name: /^(With your name|По имени)$/ }).click()
    await page.getByLabel(/^(Name|Имя)/).fill(name)
    await page.getByLabel(/^(Password|Пароль)/).fill(password)
    await button(page, /^(Sign in|Войти)$/).click()
  }
  async function choose(page: Page, password: string): Promise<void> {
    await page.getByLabel(/^(New password|Новый пароль)/).fill(password)
    await page.getByLabel(/^(The same again|Ещё раз)/).fill(password)
    await button(page, /^(Sign in|Войти|Begin)$/).click()
  }
  const isIn = (page: Page): Promise<void> =>
    page.getByRole('tab', { name: /^(My devices|Мои устройства)$/ }).waitFor()

  it('an admin brings a list in, and prints cards', async () => {
    const { page } = owner
    await enter(page, school.desk.gateway!.url!, school.desk.gateway!.token)
    await tab(page, 'People')
    await page.getByRole('checkbox', { name: 'They have no computer of their own' }).check()
    const chooser = page.waitForEvent('filechooser')
    await button(page, 'Choose a list').click()
    await (await chooser).setFiles({ name: 'people.csv', mimeType: 'text/csv', buffer: Buffer.from(LIST) })
    await button(page, 'Bring in: 2').click()
    await page.getByText('Cards: 2').waitFor()
    await look(page, 'cards')
    const cards = page.locator('.invitation')
    assert.equal(await cards.count(), 2)
    for (const [user, name] of [
      ['ann', 'Ann'],
      ['kim', 'Kim']
    ] as const) {
      const card = cards.filter({ hasText: name })
      await card.getByText(url(), { exact: true }).waitFor()
      first[user] = (await card.getByText(/^(\w{4}-){3}\w{4}$/).textContent())!
    }
    // another for who has lost his
    await button(page, 'Home here: Ann').click()
    const dialog = page.getByRole('dialog', { name: 'Home here' })
    const again = (await dialog.getByText(/^(\w{4}-){3}\w{4}$/).textContent())!
    assert.notEqual(again, first.ann)
    first.ann = again
    await dialog.getByRole('button', { name: 'Close' }).click()
  })

  it('a card lets its person choose his own password, and he is asked to print his recovery code', async () => {
    for (const [{ page }, name] of [
      [ann, 'ann'],
      [kim, 'kim']
    ] as const) {
      await page.goto(url())
      await type(page, name, first[name]!)
      await page.getByText(/^(This first password is good once|Первый пароль действует один раз)/).waitFor()
      await look(page, `choose-${name}`)
      await choose(page, PASSWORD)
      await isIn(page)
    }
    await ann.page.getByText('Print your recovery code now').waitFor()
    await look(ann.page, 'in')
    await tab(ann.page, 'My devices')
    await button(ann.page, 'Make a recovery code').click()
    await ann.page.getByText(/^Yours is of/).waitFor()
    recovery = (await ann.page.locator('.invitation').locator('p').last().textContent())!
    await ann.page.getByText('Print your recovery code now').waitFor({ state: 'detached' })
  })

  it('shows what somebody says once, from when he sends it', async () => {
    const { page } = kim
    await until('the chat is begun', async () => {
      const { id } = await school
        .call(school.desk, 'createGroup', { title: '7b', users: ['ann', 'kim'] })
        .catch(() => ({ id: '' }))
      return id !== ''
    })
    await button(page, /^7b/).click()
    const seen = await page.evaluateHandle(() => {
      const counts: number[] = []
      const count = (): void => {
        const texts = [...document.querySelectorAll('ul [dir=auto]')].map(each => each.textContent)
        counts.push(texts.filter(text => text === 'said once').length)
      }
      new MutationObserver(count).observe(document.body, { childList: true, subtree: true })
      return counts
    })
    await say(page, 'said once')
    await line(page, 'said once')
      .getByText('сохранено')
      .or(line(page, 'said once').getByText('✓'))
      .first()
      .waitFor()
    await tab(ann.page, 'Chats')
    await button(ann.page, /^7b/).click()
    await line(ann.page, 'said once').waitFor()
    const counts = (await seen.jsonValue()).slice((await seen.jsonValue()).indexOf(1))
    assert.deepEqual([...new Set(counts)], [1])
    await look(page, 'said')
  })

  it('who leaves a chat is out of it, and the others see that he has gone', async () => {
    const { page } = kim
    await button(page, /^Людей в этом чате/).click()
    await button(page, 'Выйти из чата').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Выйти из чата' }).last().click()
    await line(ann.page, 'Kim · has left').waitFor()
    await until('kim is out', async () => {
      const { items } = await school.call(school.desk, 'groups')
      return items[0].people.every(({ id }: any) => id !== 'kim')
    })
    await look(page, 'left')
  })

  it('whose password was given anew finds his chats sealed, and opens them by his code', async () => {
    const { page } = ann
    await signOut(page)
    const reset = await school.ask(school.desk, 'POST', '/accounts/ann/reset')
    await page.goto(`${url()}#invite=${reset.body.code}`)
    await choose(page, `${PASSWORD} again`)
    await page.getByRole('heading', { name: 'Your chats are sealed' }).waitFor()
    assert.equal(await page.getByText(/you are –/).count(), 0)
    await look(page, 'locked')
    await page.getByRole('textbox', { name: 'Recovery code' }).fill(recovery)
    await button(page, 'Open').click()
    await button(page, /^7b/).click()
    await line(page, 'said once').waitFor()
    // that a first password is one is said by a 401
    const errors = [...owner.errors, ...kim.errors].filter(each => !/status of 401 .*\/session/.test(each))
    assert.deepEqual(errors, [])
    await signOut(page)
    await signIn(page, 'ann', `${PASSWORD} again`)
    await isIn(page)
  })

  it('says of who is being let in what lets him in', async () => {
    const { page } = kim
    await school.call(school.desk, 'addUser', { user: 'leo', name: 'Leo' })
    const { card } = await school.call(school.desk, 'hostUser', { user: 'leo', second: true })
    await signOut(page)
    await type(page, 'leo', card.password)
    await choose(page, PASSWORD)
    await page.getByRole('region', { name: /^Вас впускают в школу/ }).waitFor()
    assert.equal(await page.getByText(/–/).filter({ hasText: 'School 7' }).count(), 0)
    await look(page, 'coming-in')
  })
})
