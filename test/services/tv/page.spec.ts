import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { devices, files, OWNER, tv } from '../../../services/index.ts'
import { actionOf, textOf } from '../../../services/tv/page/actions.ts'
import { until } from '../../bootstrap/nodes.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from '../browser.ts'
import { FakeDaemon } from './fake-daemon.ts'
import { FakeTv } from './fake-tv.ts'

const BUILT = fileURLToPath(new URL('../../../services/gateway/ui/dist/index.html', import.meta.url))
const APPEARS_MS = 120_000
const TVS = 12

/** In the page: the middle of the video's left edge has that colour, and no other. */
function isLit(channel: number): boolean {
  const canvas = document.querySelector('canvas')
  const pixel = canvas?.getContext('2d')?.getImageData(4, canvas.height - 10, 1, 1).data
  return pixel !== undefined && pixel[channel]! > 120 && pixel[2 - channel]! < 60
}

describe('tv: page', function () {
  this.timeout(600_000)
  const daemons: FakeDaemon[] = []
  let folder: string
  let node: ArtelNode
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  before(async () => {
    assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
    folder = await mkdtemp(join(tmpdir(), 'artel-tv-page-'))
    const places: string[] = []
    for (let i = 1; i <= TVS; i++) {
      const daemon = new FakeDaemon({ isOpen: true, tv: new FakeTv({ serial: `tv-${i}` }) })
      daemons.push(daemon)
      places.push(`tv-${i} ${await daemon.listen()} line=${1 + (i % 2)} station=Arbat`)
    }
    const flags = {
      data: join(folder, 'node'),
      logLevel: 'silent',
      compute: false,
      'gateway.enabled': true,
      'gateway.port': 0,
      'devices.enabled': true,
      'files.enabled': true,
      'tv.enabled': true,
      'tv.tvs': places,
      'tv.lookSeconds': 0.5
    }
    const config = loadConfig({ environment: {}, flags })
    node = await createNode(config, { role: 'seed', services: [devices, files, tv] })
    const spot = (async function* () {
      yield randomBytes(100_000)
    })()
    await node.services.call('files', 'upload', { name: 'spot.mp4' } as never, { caller: OWNER, body: spot })
  })
  after(async () => {
    await node?.stop()
    for (const daemon of daemons) await daemon[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => browser?.close())

  async function open(locale: string, width: number): Promise<void> {
    browser = await openBrowser({ locale })
    page = browser.page
    page.setDefaultTimeout(APPEARS_MS)
    await page.setViewportSize({ width, height: 900 })
    await page.goto(`${node.gateway!.url}/#token=${node.gateway!.token}`)
    await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
    await page.evaluate(() => {
      window.location.hash = '#/services/artel%2Ftv%2F1'
    })
    await page.getByRole('tab', { name: /^(TVs|Телевизоры)$/ }).waitFor()
  }
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click()
  const button = (name: string | RegExp) => page.getByRole('button', { name })
  async function look(name: string, width: number): Promise<void> {
    assert.deepEqual(await overflowing(page, width), [], name)
    assert.deepEqual(await seriousFindings(page), [], name)
    await keepPicture(page, `tv-${width}-${name}`, true)
  }

  it('reads operations as people write them', () => {
    const action = { operation: 'key.text', args: { text: 'it is "5" o\'clock', times: 5, loud: true } }
    assert.deepEqual(actionOf(textOf(action)), action)
    assert.deepEqual(actionOf('sound.volume level=5'), { operation: 'sound.volume', args: { level: 5 } })
    assert.deepEqual(actionOf('apps.start app=com.example.app'), {
      operation: 'apps.start',
      args: { app: 'com.example.app' }
    })
    for (const text of ['', 'reboot', 'sound.volume 5', 'sound.volume level=', 'a.b; c'])
      assert.equal(actionOf(text), undefined, text)
  })

  it('shows TVs and what they show, a card that is edited and rehearsed, a campaign until all TVs have it', async () => {
    await open('en-GB', 1280)
    await page.getByText(`${TVS} of ${TVS} TVs are up`).waitFor()
    await look('tvs', 1280)
    await page.getByLabel('Which TVs').fill('line=2')
    await page.keyboard.press('Enter')
    await page.getByText('6 of 6 TVs are up').waitFor()
    await button(/^tv-1 /).click()
    await button('Look at its screen').click()
    await page.getByRole('img', { name: 'Picture of tv-1' }).waitFor()
    await button('Watch').click()
    // what the video of the simulated TV shows at its left: red, then blue
    for (const channel of [0, 2]) await page.waitForFunction(isLit, channel)
    await look('live', 1280)
    await button('Stop watching').click()
    await until(() => daemons[0]!.recording === 0, 'nobody watches')
    daemons[0]!.recordingPictures = 0
    await button('Watch').click()
    await page.getByText('does not record its screen. A picture every ten seconds').waitFor()
    await page.getByRole('img', { name: 'Picture of tv-1' }).waitFor()
    await button('Stop watching').click()
    await page.getByRole('textbox', { name: 'Operation' }).fill('sound.volume level=9')
    await button('Do').click()
    await page.getByText('tv-1: done').waitFor()
    assert.equal(daemons[0]!.tv.volume, 9)
    await page.getByRole('textbox', { name: 'Operation' }).fill('reboot now')
    await button('Do').click()
    await page.getByRole('alert').getByText('is no operation').waitFor()
    await page.getByRole('row', { name: 'volume 9' }).waitFor()

    await tab('Cards')
    await page.getByText('No cards yet').waitFor()
    const form = page.getByRole('form', { name: 'Card' })
    await form.getByLabel('Name').fill('quiet')
    await button('Add a field').click()
    await form.getByRole('textbox', { name: 'Label', exact: true }).fill('Loudness')
    await form.getByRole('textbox', { name: 'Reading', exact: true }).fill('volume')
    await form.getByRole('textbox', { name: 'Wrong when', exact: true }).fill('volume>10')
    await button('Add a button').click()
    await form.getByRole('textbox', { name: 'Label', exact: true }).nth(1).fill('Home')
    await form.getByRole('textbox', { name: 'Does', exact: true }).fill('key.home')
    await form.getByLabel('Ask before it is done').check()
    await button('Add a trigger').click()
    await form.getByRole('textbox', { name: 'When', exact: true }).fill('volume=9')
    await form
      .getByRole('textbox', { name: 'Does, one operation a line', exact: true })
      .fill('sound.volume level=3')
    await button('Rehearse on the last day').click()
    await page.getByText('“volume=9”: would have acted (times: 1, TVs: 1)').waitFor()
    assert.equal(daemons[0]!.tv.volume, 9, 'a rehearsal does nothing')
    await look('card', 1280)
    await form.getByRole('button', { name: 'Save' }).click()
    await page.getByText('quiet is saved').waitFor()
    await page.getByText(`version 1 · TVs: ${TVS} · triggers: 1`).waitFor()
    await until(() => daemons[0]!.tv.volume === 3, 'its trigger acts')
    await button('Edit quiet').click()
    assert.equal(await form.getByRole('textbox', { name: 'When', exact: true }).inputValue(), 'volume=9')
    assert.equal(
      await form.getByRole('textbox', { name: 'Does, one operation a line', exact: true }).inputValue(),
      'sound.volume level=3'
    )
    await tab('TVs')
    await button(/^tv-1 /).click()
    await page.getByRole('region', { name: 'quiet' }).getByText('Loudness').waitFor()
    const before = daemons[0]!.tv.keys.length
    await button('Home').click()
    assert.equal(daemons[0]!.tv.keys.length, before, 'it is asked first')
    await button('Home?').click()
    await until(() => daemons[0]!.tv.keys.length === before + 1, 'it is pressed')
    await look('tv', 1280)

    await tab('Campaigns')
    const campaign = page.getByRole('form', { name: 'New campaign' })
    await campaign.getByLabel('Name').fill('winter')
    await campaign.getByLabel('Files, one a line').fill('spot.mp4 1')
    await campaign.getByLabel('Until').fill('2030-01-01T00:00')
    await campaign.getByRole('button', { name: 'Save' }).click()
    await page.getByText('winter is saved').waitFor()
    await page.getByText(`Ready: ${TVS} of ${TVS} TVs`).waitFor()
    await page.getByText('showing').first().waitFor()
    await look('campaigns', 1280)
    await campaign.getByLabel('Name').fill('spring')
    await campaign.getByLabel('Files, one a line').fill('spot.mp4 1')
    await campaign.getByLabel('Which TVs').fill('name=tv-3')
    await campaign.getByRole('button', { name: 'Save' }).click()
    await page.getByText('At the same time on the same TVs: winter (50)').waitFor()
    await button('End spring').click()
    await page.getByRole('region', { name: 'spring' }).waitFor({ state: 'detached' })
    // of the TV that does not record its screen
    const others = browser.errors.filter(each => !each.includes('/tv/live'))
    assert.deepEqual(others, [])
    assert.deepEqual([...browser.hosts], [new URL(node.gateway!.url!).host])
  })

  it('fits a phone, in Russian', async () => {
    await open('ru-RU', 400)
    await page.getByText(`На связи ${TVS} из ${TVS}`).waitFor()
    await look('tvs', 400)
    await button(/^tv-2 /).click()
    await button('Показать экран').click()
    await page.getByRole('img', { name: 'Экран tv-2' }).waitFor()
    await look('tv', 400)
    await tab('Карточки')
    await button('Изменить quiet').click()
    await page
      .getByRole('form', { name: 'Карточка' })
      .getByRole('textbox', { name: 'Когда', exact: true })
      .waitFor()
    await look('cards', 400)
    await tab('Кампании')
    await page.getByText(`Готово: ${TVS} из ${TVS}`).waitFor()
    await look('campaigns', 400)
    assert.deepEqual(browser.errors, [])
  })
})
