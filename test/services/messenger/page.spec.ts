import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { loadOrCreateIdentity } from '../../../bootstrap/index.ts'
import { createSigner } from '../../../ledger/index.ts'
import {
  APP,
  attach,
  button,
  keepFile,
  line,
  lines,
  say,
  signIn,
  signOut
} from '../../../node/demo/chat-page.ts'
import { signRelease } from '../../../node/signed-release.ts'
import { VERSION } from '../../../node/version.ts'
import { MAX_FILE_BYTES } from '../../../services/messenger/core/constants.ts'
import { BEHIND, Cable } from '../../integration/cable.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from '../browser.ts'
import { pack } from '../devices/releases.ts'
import { openGateways } from './gateways.ts'
import { NAUGHTY } from './naughty.ts'
import {
  act,
  carryMail,
  chatAtListener,
  chatAway,
  enter,
  keepQuiet,
  keptIn,
  letDeviceIn,
  makeCertificate,
  moderate,
  restoreBackups,
  search,
  sendPictures,
  tab
} from './page-steps.ts'
import { png, windows1251, zipOf } from './samples.ts'
import { until } from './school.ts'

const BUILT = fileURLToPath(new URL('../../../services/gateway/ui/dist/messenger.html', import.meta.url))
const APPEARS_MS = 120_000
const PASSWORD = 'correct horse battery'
/** so long the network is away; a minute: MESSENGER_CUT_SECONDS=60 */
const CUT_MS = 1000 * Number(process.env.MESSENGER_CUT_SECONDS ?? 2)
const PEOPLE = `ФИО;Логин;Роль;Класс
Bob;bob;ученик;7б
Пётр Ёжиков;;учитель;7б
Без роли;x y;ученик;7б
`
/** What would run, if anything of a stranger did. */
const EVIL = `document.title='evil';top.evil=1`

describe('messenger: page', function () {
  this.timeout(600_000)
  let school: Awaited<ReturnType<typeof openGateways>>
  let cable: Cable
  const openBrowser = useChromium()
  let anna: Browser
  let bob: Browser

  before(async () => {
    assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
    cable = await Cable.create()
    const ofBob = { 'gateway.host': BEHIND, 'gateway.port': cable.port, 'messenger.home': true }
    school = await openGateways({ isFounded: false, ofBob })
    anna = await open()
    bob = await open()
  })
  after(async () => {
    for (const each of [anna, bob]) await each?.close()
    cable?.close()
    await school?.[Symbol.asyncDispose]()
  })

  async function open(locale = 'en-GB', width = 1280): Promise<Browser> {
    const browser = await openBrowser({ locale })
    browser.page.setDefaultTimeout(APPEARS_MS)
    await browser.page.setViewportSize({ width, height: 900 })
    return browser
  }
  const bobsUrl = (): string => `http://127.0.0.1:${cable.port}`
  async function look(page: Page, name: string, width = 1280): Promise<void> {
    assert.deepEqual(await seriousFindings(page), [], name)
    assert.deepEqual(await overflowing(page, width), [], name)
    await keepPicture(page, `messenger-${width}-${name}`, true)
  }
  it('founds a school, brings people in from a list, and lets one in by his code', async () => {
    const { desk, bob: node } = school
    const { page } = anna
    await enter(page, desk.gateway!.url!, desk.gateway!.token)
    await page.getByLabel('Name of the school').fill('School 7')
    await page.getByLabel('Your name').fill('Anna Admin')
    await look(page, 'begin')
    await button(page, 'Found a school').click()
    await tab(page, 'People')
    const chooser = page.waitForEvent('filechooser')
    await button(page, 'Choose a list').click()
    await (await chooser).setFiles({
      name: 'people.csv',
      mimeType: 'text/csv',
      buffer: Buffer.from(windows1251(PEOPLE))
    })
    await page.getByText('New: 2, changed: 0, the same: 0, with mistakes: 1').waitFor()
    await page.getByText('is no login').waitFor()
    await look(page, 'import')
    await button(page, 'Bring in: 2').click()
    await page.getByText('Codes: 2').waitFor()
    await look(page, 'codes')
    const card = page.locator('.invitation').filter({ hasText: 'Bob' })
    await card.getByRole('img', { name: 'Code of Bob for a camera' }).waitFor()
    const code = (await card.locator('p').last().textContent())!

    await enter(bob.page, bobsUrl(), node.gateway!.token)
    // his node may hear of the school only now
    await until('bob is in the school', async () => {
      await bob.page.getByRole('textbox', { name: 'Code' }).fill(code)
      await button(bob.page, 'Join a school').click()
      const isIn = bob.page.getByRole('tab', { name: 'Chats' })
      await isIn.or(bob.page.getByRole('alert')).first().waitFor()
      return isIn.isVisible()
    })
  })

  it('two people sign in and chat, each seeing at once what the other does', async () => {
    const { bob: node, ask } = school
    // Bob has an account at his node, and no right to its administration
    await ask(node, 'POST', '/roles', { name: 'chatter', scopes: ['messenger:write'] })
    const { body } = await ask(node, 'POST', '/accounts', { name: 'Bob', role: 'chatter' })
    await ask(node, 'POST', '/invitations/accept', { code: body.code, password: PASSWORD })
    await bob.close()
    bob = await open()
    await bob.page.goto(`${bobsUrl()}${APP}`)
    await signIn(bob.page, 'Bob', PASSWORD)
    await bob.page.getByText(/^No chats yet/).waitFor()
    assert.equal(await bob.page.getByRole('tab', { name: 'Administration' }).count(), 0)

    await tab(anna.page, 'Chats')
    await button(anna.page, 'New chat').click()
    const dialog = anna.page.getByRole('dialog')
    await dialog.getByLabel('Title').fill('7b')
    await dialog.getByRole('checkbox', { name: 'Bob' }).check()
    await look(anna.page, 'new-chat')
    await until('the chat is begun', async () => {
      await dialog.getByRole('button', { name: 'Begin' }).click()
      const isBegun = lines(anna.page)
      await isBegun.or(dialog.getByRole('alert')).first().waitFor()
      if (await isBegun.isVisible()) return true
      // that he cannot be written to yet stands in the console as well
      anna.errors.splice(0, anna.errors.length, ...anna.errors.filter(each => !/status of 4\d\d/.test(each)))
      return false
    })
    await say(anna.page, 'Hello, **Bob**: https://example.org/a?b=1.')
    await button(bob.page, /^7b/).click()
    await line(bob.page, 'Hello').waitFor()
    assert.equal(await lines(bob.page).getByRole('link').getAttribute('href'), 'https://example.org/a?b=1')
    assert.equal(await lines(bob.page).locator('strong').textContent(), 'Bob')
    await line(anna.page, 'Hello').getByText('read by 1').waitFor()

    await act(bob.page, 'Hello', 'Answer')
    await say(bob.page, 'Спрошу про канарейку')
    await line(anna.page, 'канарейку').getByText('Anna Admin: Hello').waitFor()
    await act(anna.page, 'канарейку', '👍')
    await button(bob.page, '👍 1: Anna Admin').waitFor()
    await act(bob.page, 'канарейку', 'Edit')
    await say(bob.page, 'Спрошу про вторую канарейку')
    await line(anna.page, 'вторую канарейку').getByText('edited').waitFor()
    await say(bob.page, 'a mistake')
    await line(anna.page, 'a mistake').waitFor()
    await act(bob.page, 'a mistake', 'Delete')
    await bob.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await line(anna.page, 'deleted').waitFor()
    assert.equal(await line(anna.page, 'a mistake').count(), 0)
    await moderate(anna.page, bob.page, look)

    await search(anna.page, look)
    assert.deepEqual([...anna.errors, ...bob.errors], [])
  })

  it('a person has his chats at another node, live, as name@home, and at a listener of his own', async () => {
    const visit = await open()
    await chatAway(visit.page, school.desk.gateway!.url!, `bob@${school.bob.id}`, PASSWORD, bob.page)
    await look(visit.page, 'visitor')
    await signOut(visit.page)
    await chatAtListener(visit.page, school.bob.gateway!.faceUrl!, 'Bob', PASSWORD, bob.page)
    await look(visit.page, 'listener')
    assert.deepEqual(visit.errors, [])
    await visit.close()
  })

  it('can be installed as an app, whose files alone are kept in the browser', async () => {
    const { page, context } = bob
    const session = await context.newCDPSession(page)
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors')
    // a profile that forgets everything installs nothing
    const hindrances = installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito')
    assert.deepEqual(hindrances, [])
    const { errors, data } = await session.send('Page.getAppManifest')
    assert.deepEqual(errors, [])
    assert.equal(JSON.parse(data!).display, 'standalone')
    await page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated')
    const kept = await keptIn(page)
    assert.ok(kept.includes('/messenger.html'), kept.join())
    assert.deepEqual(
      kept.filter(path => !/^\/(messenger\.|favicon\.svg|assets\/)/.test(path)),
      []
    )
    await look(page, 'app')
  })

  it('shows who writes and who is here, where the school lets them; nothing of it is on a disk', async () => {
    for (const node of [school.desk, school.bob]) await school.call(node, 'setLogLevel', { level: 'debug' })
    const write = bob.page.getByRole('textbox', { name: 'Write a message' })
    const isWriting = anna.page.getByText('Bob: writing…')
    await until('anna sees that bob writes', async () => {
      await write.pressSequentially('h')
      return isWriting.isVisible()
    })
    await write.fill('')
    await isWriting.waitFor({ state: 'detached' })
    assert.equal(await anna.page.getByText('here now').count(), 0)
    await school.call(school.desk, 'setPolicy', { presence: true })
    for (const { page } of [anna, bob]) await page.getByText('here now').waitFor()
    await look(anna.page, 'here')
    for (const node of [school.desk, school.bob]) {
      const { lines: told } = await school.call(node, 'log')
      assert.ok(told.some((each: string) => /groups \d+ ms by/.test(each)))
      assert.deepEqual(
        told.filter((each: string) => /presence/i.test(each)),
        []
      )
    }
  })

  it('asks to confirm that something was read, and shows who did', async () => {
    assert.equal(await button(bob.page, /^Ask everybody to confirm/).count(), 0)
    await button(anna.page, /^Ask everybody to confirm/).click()
    await say(anna.page, 'Tomorrow at nine')
    const asked = line(anna.page, 'Tomorrow at nine')
    await asked.getByText('Confirmed: 0 of 1').click()
    await asked.getByText('Not yet: Bob').waitFor()
    await line(bob.page, 'Tomorrow at nine').getByRole('button', { name: 'I have read this' }).click()
    await line(bob.page, 'Tomorrow at nine').getByText('you confirmed').waitFor()
    await asked.getByText('Confirmed: 1 of 1').waitFor()
    await asked.getByText('Read and confirmed: Bob').waitFor()
    await look(anna.page, 'confirmed')
    await look(bob.page, 'confirmed-pupil')
  })

  it('shows naughty texts as they are, and of hostile files nothing', async () => {
    for (const text of NAUGHTY) await say(anna.page, text)
    // for a moment it is there and on its way, both
    await line(anna.page, 'the last of them').first().waitFor()
    const shown = (): Promise<string[]> => lines(bob.page).locator('[dir=auto]').allTextContents()
    await until('bob has them all', async () => (await shown()).at(-1) === NAUGHTY.at(-1))
    assert.deepEqual((await shown()).slice(-NAUGHTY.length), NAUGHTY)
    await look(bob.page, 'naughty')

    await sendPictures(anna.page, bob.page)
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" onload="${EVIL}"><script>${EVIL}</script></svg>`
    const hostile: Record<string, Buffer> = {
      'evil.svg': Buffer.from(svg),
      'page.png': Buffer.from(`<!doctype html><body onload="${EVIL}"><script>${EVIL}</script>`),
      'bomb.png': png(60_000, 60_000),
      'bomb.zip': zipOf(Buffer.alloc(50_000_000)),
      '"><img src=x onerror=alert(1)>.png': Buffer.from('GIF89a')
    }
    for (const [name, bytes] of Object.entries(hostile)) {
      await attach(anna.page, name, bytes)
      await line(bob.page, name).waitFor()
    }
    for (const name of Object.keys(hostile).filter(each => !each.endsWith('.zip')))
      await line(bob.page, name).getByText('no picture that can be shown').waitFor()
    assert.equal(await lines(bob.page).getByRole('img').count(), 4)
    // what is kept is a file, whatever it is
    assert.equal((await keepFile(bob.page, 'evil.svg')).toString(), svg)

    await attach(anna.page, 'big.bin', Buffer.alloc(MAX_FILE_BYTES + 1))
    await anna.page.getByRole('alert').getByText('(5242881 bytes)').waitFor()
    await look(anna.page, 'too-large')
    await button(anna.page, 'Close').click()
    await attach(anna.page, 'full.bin', Buffer.alloc(MAX_FILE_BYTES))
    await line(bob.page, 'full.bin').waitFor()

    for (const { page } of [anna, bob]) {
      assert.ok((await page.title()).endsWith('Artel'))
      assert.equal(await page.evaluate(() => 'evil' in window), false)
    }
    assert.deepEqual([...anna.hosts], [new URL(school.desk.gateway!.url!).host])
    assert.deepEqual([...bob.hosts], [new URL(bobsUrl()).host])
    assert.deepEqual([...anna.errors, ...bob.errors], [])
  })

  it('goes on where it was when the network was away: nothing lost, nothing twice', async () => {
    cable.cut()
    for (const text of ['cut one', 'cut two']) await say(bob.page, text)
    await line(bob.page, 'cut one').getByText('The node does not answer').waitFor()
    await say(anna.page, 'while bob was away')
    await bob.page.waitForTimeout(CUT_MS)
    await keepPicture(bob.page, 'messenger-1280-cut')
    // the page itself comes from the browser, and what waits is still there
    await bob.page.reload()
    await bob.page.getByRole('alert').getByText('The node does not answer').waitFor()
    await keepPicture(bob.page, 'messenger-1280-offline')
    assert.equal(await line(anna.page, 'cut one').count(), 0)
    cable.mend()
    await button(bob.page, /^7b/).click()
    for (const { page } of [anna, bob])
      for (const text of ['cut one', 'cut two', 'while bob was away']) {
        await line(page, text).waitFor()
        assert.equal(await line(page, text).count(), 1, text)
      }
    const texts = ({ page }: Browser) => lines(page).locator('[dir=auto]').allTextContents()
    await until('nothing is on its way', async () => (await bob.page.getByText('on its way').count()) === 0)
    await until('both see the same', async () => {
      const [one, other] = await Promise.all([texts(anna), texts(bob)])
      return one.join('\n') === other.join('\n')
    })
    // what failed was the line itself
    assert.deepEqual(
      bob.errors.filter(error => !/net::ERR_|WebSocket/.test(error)),
      []
    )
  })

  it('takes a report to an admin, who also looks after the node', async () => {
    await act(bob.page, 'while bob was away', 'Report')
    const dialog = bob.page.getByRole('dialog')
    await dialog.getByLabel('What is wrong with it').fill('I do not like it')
    await dialog.getByRole('button', { name: 'Report' }).click()
    await dialog.getByText('An admin was told.').waitFor()
    await look(bob.page, 'report')
    await dialog.getByRole('button', { name: 'Close' }).click()

    const { page } = anna
    await tab(page, 'Administration')
    const reports = page.getByRole('region', { name: 'Reports' })
    await reports.getByRole('button', { name: 'Open the chat' }).waitFor()
    for (const name of ['Health', 'Diagnose', 'Verify']) {
      await button(page, name).click()
      await page.getByRole('list', { name: 'State' }).getByText('Database').first().waitFor()
    }
    await restoreBackups(page, look)
    await carryMail(page)
    await makeCertificate(page)
    await button(page, 'Clean up').click()
    await page.getByText(/^Gone: 0 temporary files/).waitFor()
    await button(page, 'Count').click()
    await page.getByText('People: 3, devices: 2').waitFor()
    await page.getByLabel('Minutes in which a message can be changed').fill('30')
    const rate = page.getByLabel('Messages of one device in a minute')
    assert.equal(await rate.inputValue(), '200')
    await rate.fill('120')
    await button(page, 'Save the rules').click()
    await until('the rules are others', async () => {
      const { policy } = await school.call(school.bob, 'status')
      return policy.editMinutes === 30 && policy.messagesPerMinute === 120
    })
    await keepQuiet(page, bob.page, look)
    const backups = page.getByRole('list', { name: 'Backups' })
    const before = await backups.textContent()
    await button(page, 'Back up all of it').click()
    await until('there is another backup', async () => (await backups.textContent()) !== before)
    await button(page, 'Show its newest lines').click()
    await page
      .getByRole('region', { name: 'what was asked' })
      .getByText(/backup \d+ ms by/)
      .first()
      .waitFor()
    await button(page, 'Tell more for 30 minutes').click()
    await page.getByText(/^What only looks is told too until/).waitFor()
    await page.getByLabel('What has happened').selectOption('account')
    await page.getByLabel('Whose account').selectOption('bob')
    await button(page, 'What to do').click()
    await page.getByText('artel messenger add-user bob').waitFor()
    await page.getByLabel('In a few words').fill('It is slow')
    await button(page, 'Fill in').click()
    await page.getByText('Subject: [PROBLEM] It is slow').waitFor()
    const program = page.getByRole('region', { name: 'Program' })
    const { path } = await pack(await mkdtemp(join(school.folder, 'release-')), '9', '')
    const file = program.getByLabel('Signed release (path on the node)')
    const update = async (): Promise<void> => {
      await file.fill(path)
      await button(page, 'Update').click()
      await page.getByRole('dialog').getByRole('button', { name: 'Update' }).click()
    }
    await update()
    await page
      .getByRole('alert')
      .getByText(/9\.tgz\.sig is not there/)
      .waitFor()
    const { privateKey } = await loadOrCreateIdentity(join(school.desk.config.data, 'key'))
    await signRelease(path, createSigner(privateKey))
    await page.getByRole('alert').getByRole('button', { name: 'Close' }).click()
    await update()
    await program.getByText(`Before: ${VERSION}. Now: 9.`).waitFor()
    await look(page, 'update')
    await update()
    await program.getByText('Version 9 does not work: it ended with exit code 9').waitFor()
    await button(page, `Go back to ${VERSION}`).click()
    await look(page, 'rollback')
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await look(page, 'administration')
    await reports.getByRole('button', { name: 'Open the chat' }).click()
    await line(page, 'I do not like it').waitFor()
    await button(page, /^Keep report-/).waitFor()
    // a release that nobody signed is refused, and an address of the internet
    assert.deepEqual(
      anna.errors.filter(each => !/409 \(Conflict\)|403 .*certificate/.test(each)),
      []
    )
  })

  it('a person’s other device comes in by a code and six digits, and those he writes to see that', async () => {
    const node = await school.another('laptop')
    const laptop = await open()
    try {
      await enter(laptop.page, node.gateway!.url!, node.gateway!.token)
      await letDeviceIn(bob.page, laptop.page, look)
      await line(anna.page, 'Bob has another device: laptop').waitFor()
      await until('bob has the keys of what follows', async () =>
        (await school.call(school.bob, 'groups')).items.every((each: any) => each.isIn)
      )
    } finally {
      await laptop.close()
    }
  })

  it('leaves nothing of what was said when one signs out', async () => {
    const { page } = bob
    await say(page, 'the last word of bob')
    await line(page, 'the last word of bob').first().waitFor()
    await page.getByText('on its way').waitFor({ state: 'detached' })
    await signOut(page)
    assert.doesNotMatch(await page.content(), /the last word of bob/)
    const left = await page.evaluate(async () => ({
      ofTab: { ...sessionStorage },
      ofBrowser: Object.keys(localStorage).filter(key => !key.startsWith('mantine')),
      databases: await indexedDB.databases()
    }))
    assert.deepEqual(left, { ofTab: {}, ofBrowser: ['artel.way'], databases: [] })
    await look(page, 'sign-in')
    const kept = await keptIn(page)
    assert.deepEqual(
      kept.filter(path => path.includes('/api/')),
      []
    )
    assert.deepEqual(
      (await bob.context.cookies()).filter(({ name }) => name.startsWith('artel-session')),
      []
    )
    await page.reload()
    await page.getByRole('tab', { name: 'With your name' }).waitFor()
  })

  it('fits a phone, in Russian', async () => {
    const { page, errors, close } = await open('ru-RU', 400)
    const json = { items: [{ name: 'diskFree', state: 'fail', detail: '5 %', since: 1 }] }
    try {
      await page.route(/health.last=true/, route => route.fulfill({ json }))
      const { url, token } = school.desk.gateway!
      await page.goto(`${url}${APP}#token=${token}`)
      await button(page, 'Новый чат').waitFor()
      await look(page, 'chats', 400)
      await button(page, /^7b/).click()
      await line(page, 'while bob was away').waitFor()
      await look(page, 'chat', 400)
      await button(page, 'Все чаты').click()
      await tab(page, 'Поиск')
      await page.getByLabel('Слова, в любой форме').fill('канарейка')
      await button(page, 'Поиск').click()
      await page.getByText('Спрошу про вторую канарейку').waitFor()
      await look(page, 'search', 400)
      await tab(page, 'Люди')
      await page.getByText('Пётр Ёжиков').waitFor()
      await look(page, 'people', 400)
      await tab(page, 'Мои устройства')
      await button(page, 'Показать код').click()
      await page.getByRole('img', { name: 'Код этого устройства для камеры' }).waitFor()
      await look(page, 'devices', 400)
      await tab(page, 'Управление')
      await button(page, 'Диагностика').click()
      await page.getByText('Свободно на диске: 5 %, сломано с ').waitFor()
      await page.getByText('цела, и в неё можно писать').waitFor()
      await page.getByLabel('Что случилось').selectOption('leak')
      await button(page, 'Что делать').click()
      await page.getByText(/^Отключите от сети компьютер/).waitFor()
      await look(page, 'administration', 400)
      assert.deepEqual(errors, [])
    } finally {
      await close()
    }
  })
})
