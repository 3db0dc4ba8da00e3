import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TOTP } from 'otpauth'
import type { Page } from 'playwright-core'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from './browser.ts'
import { TestGateway } from './gateway-node.ts'

const BUILT = fileURLToPath(new URL('../../services/gateway/ui/dist/index.html', import.meta.url))
const APPEARS_MS = 120_000
const PASSWORD = 'correct horse battery'
const WIDTHS = [400, 1280]

describe('services: dashboard, people', () => {
  let gateway: TestGateway
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  before(async () => {
    assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
    gateway = await TestGateway.start()
  })
  after(() => gateway?.[Symbol.asyncDispose]())

  const open = async (init?: Parameters<typeof openBrowser>[0]) => {
    browser = await openBrowser(init)
    page = browser.page
    page.setDefaultTimeout(APPEARS_MS)
  }
  beforeEach(() => open())
  afterEach(() => browser.close())

  const enter = async (): Promise<void> => {
    await page.goto(`${gateway.url}/#token=${gateway.token}`)
    await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
    await page.evaluate(() => {
      window.location.hash = '#/accounts'
    })
    await page.getByRole('heading', { level: 1, name: /People|Люди/ }).waitFor()
  }

  /** Opens an invitation and chooses a password. */
  const accept = async (link: string, name?: string): Promise<void> => {
    await page.goto('about:blank')
    await page.goto(link)
    if (name != null) await page.getByLabel('Your name').fill(name)
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByLabel('The same again').fill(PASSWORD)
    await page.getByRole('button', { name: 'Begin' }).click()
    await page.getByRole('link', { name: /Your account/ }).waitFor()
  }

  const signIn = async (name: string, password = PASSWORD): Promise<void> => {
    await page.goto(gateway.url)
    await page.getByRole('tab', { name: 'With your name' }).click()
    await page.getByLabel(/^Name/).fill(name)
    await page.getByLabel(/^Password/).fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  const invite = async (name: string, role: string): Promise<string> => {
    await enter()
    const card = page.locator('section', { has: page.getByRole('heading', { name: 'Invite', exact: true }) })
    await card.getByLabel('Name').fill(name)
    await card.getByLabel('Role').selectOption(role)
    await card.getByRole('button', { name: 'Make a link' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('img', { name: 'QR code of the link' }).waitFor()
    return dialog.getByLabel('Link', { exact: true }).inputValue()
  }

  const look = async (name: string): Promise<void> => {
    const findings = await seriousFindings(page)
    for (const width of WIDTHS) {
      assert.deepEqual(await overflowing(page, width), [], `${name} is wider than ${width}`)
      await keepPicture(page, `${name}-${width}`, true)
    }
    assert.deepEqual(findings, [], name)
  }

  it('lets a person in by a link, with the pages of his role, and out', async () => {
    const link = await invite('', 'pupil')
    await look('invite-link')
    await accept(link, 'Vera')
    await page.getByRole('heading', { level: 1, name: 'Vera' }).waitFor()
    assert.ok(!page.url().includes('invite'))
    // a pupil's only page is his own
    assert.equal(await page.getByRole('navigation').getByRole('link').count(), 0)
    assert.equal(await page.evaluate(() => document.cookie), '')
    await look('account')
    await page.reload()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('tab', { name: 'With your name' }).waitFor()
    await signIn('vera', 'wrong password')
    await page.getByRole('alert').filter({ hasText: 'name, password or code are wrong' }).waitFor()
    await look('sign-in')
    await page.getByLabel(/^Password/).fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { level: 1, name: 'Vera' }).waitFor()
    // what failed was told by the node
    assert.ok(
      browser.errors.every(error => error.includes('401')),
      browser.errors.join('\n')
    )
  })

  it('shows a teacher the pages of the node, live, until the session is ended by the owner', async () => {
    await accept(await invite('Oleg', 'teacher'))
    await page.getByRole('link', { name: 'Jobs' }).first().waitFor()
    await page.getByRole('img', { name: /Live/ }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'People' }).count(), 0)
    assert.deepEqual(browser.errors, [])
    const teacher = browser
    await open()
    try {
      await enter()
      await page.getByRole('button', { name: 'End the session: Oleg' }).click()
      await page.getByText('Nobody is signed in.').or(page.getByText(/Vera/)).first().waitFor()
    } finally {
      await browser.close()
      browser = teacher
    }
    await teacher.page.getByText('You are no longer signed in').waitFor()
  })

  it('sets up a second factor, and asks for it', async () => {
    await accept(await invite('Anna', 'pupil'))
    await page.getByRole('button', { name: 'Set up' }).click()
    await page.getByRole('img', { name: 'QR code for your authenticator app' }).waitFor()
    await look('second-factor')
    const secret = await page.getByText(/^[A-Z2-7]{32}$/).textContent()
    const app = new TOTP({ secret: secret! })
    const code = (ahead = 0) => app.generate({ timestamp: Date.now() + ahead })
    await page.getByLabel('Code of the second factor').fill(code())
    await page.getByRole('button', { name: 'Switch on' }).click()
    await page.getByRole('button', { name: 'Switch off' }).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await signIn('Anna')
    // each is taken once, and the next one 30 s ahead of its time as well
    await page.getByLabel('Code of the second factor').fill(code(30_000))
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { level: 1, name: 'Anna' }).waitFor()
  })

  it('brings in a list, line by line, with a card for each new person', async () => {
    await enter()
    const list = page.getByLabel('List', { exact: true })
    await list.fill('name,role\nBoris,king\nOlga,')
    await page.getByRole('button', { name: 'What would it do?' }).click()
    await page.getByText('1 line is wrong').waitFor()
    await page.getByText(/there is no role "king"/).waitFor()
    await look('import-wrong')
    // as a spreadsheet in Russia saves it
    const bytes = Buffer.from([0xe8, 0xec, 0xff, 0x0a, 0xce, 0xeb, 0xe5, 0xe3, 0x20, 0xcf, 0x0a])
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: '7b.csv', mimeType: 'text/csv', buffer: bytes })
    await page.locator('textarea', { hasText: 'Олег П' }).first().waitFor()
    assert.equal(await list.inputValue(), 'имя\nОлег П\n')
    await page.getByRole('button', { name: 'What would it do?' }).click()
    await page.getByRole('button', { name: 'Bring in 1 person' }).click()
    await page.getByText('Done: 1 new person').waitFor()
    await page.getByRole('img', { name: 'Link for Олег П' }).waitFor()
    await look('import-done')
    await page.getByRole('cell', { name: 'Олег П invited' }).waitFor()
    assert.deepEqual(browser.errors, [])
  })

  it('changes roles, resets, disables and removes', async () => {
    await enter()
    await page.getByLabel('Another role').fill('helper')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByLabel('read for helper').click()
    await page.locator('input[aria-label="read for helper"]:checked').waitFor()
    await page.getByLabel('Role of Vera').selectOption('helper')
    const act = async (name: string) => {
      await page.getByRole('button', { name: 'Actions for Vera' }).click()
      await page.getByRole('menuitem', { name }).click()
      // what closes is still there for a moment
      await page.getByRole('menu').waitFor({ state: 'detached' })
    }
    await act('Reset the password')
    const dialog = page.getByRole('dialog', { name: 'Link for Vera' })
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page.getByRole('row', { name: /Vera invited/ }).waitFor()
    await act('Disable')
    await page.getByRole('row', { name: /Vera disabled/ }).waitFor()
    await look('people')
    await page.getByRole('button', { name: 'Actions for Vera' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).last().click()
    await page.getByRole('menuitem', { name: 'Really remove?' }).click()
    await page.getByLabel('Role of Vera').waitFor({ state: 'detached' })
    assert.deepEqual(browser.errors, [])
  })

  it('speaks Russian, and is as easy to see in the dark', async () => {
    await browser.close()
    await open({ locale: 'ru-RU', colorScheme: 'dark' })
    await enter()
    await page.getByText('Кто может войти на этот узел').waitFor()
    await look('people-dark')
    assert.deepEqual(browser.errors, [])
  })
})
