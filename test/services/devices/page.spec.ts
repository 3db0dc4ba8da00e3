import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { z } from 'zod'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import type { Device, DeviceDescription, Devices } from '../../../services/devices/index.ts'
import { declare, devices, service } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { type Browser, looksRight, openDashboard, overflowing, useChromium } from '../browser.ts'

const APPEARS_MS = 120_000
const DEVICES = 1_000
/** Of a list of any length a window shows so many at most. */
const DRAWN = 60

describe('devices: page', function () {
  this.timeout(600_000)
  const meters: Device[] = []
  let haveMeasured = false
  let folder: string
  let node: ArtelNode
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  let limit = 1
  const settings: DeviceDescription['settings'] = {
    limit: {
      type: 'number',
      now: () => limit,
      set(value) {
        if (Number(value) > 9) throw new Error('it has one digit')
        limit = Number(value)
      }
    }
  }
  const commands: DeviceDescription['commands'] = {
    zero: {
      summary: 'Count from nothing',
      risk: 2,
      args: z.strictObject({ from: z.number() }),
      run: ({ from }) => ({ from: from as number })
    }
  }
  const driver = service(
    declare({ name: 'meters', version: 1, summary: 't', operations: {}, needs: ['devices'] }),
    async () => async host => ({
      operations: {},
      start() {
        const { open } = (host.use as { devices: Devices }).devices
        host.repeat('opening', 1e9, async () => {
          const opened = Array.from({ length: DEVICES }, (_, i) =>
            open({
              kind: 'meter',
              serial: String(i).padStart(4, '0'),
              name: `Meter ${String(i).padStart(4, '0')}`,
              readings: { volts: { type: 'number', unit: 'V' }, place: { type: 'text' } },
              events: { opened: { class: 'account' } },
              ...(i === 500 ? { settings, commands } : {})
            })
          )
          meters.push(...(await Promise.all(opened)))
          await Promise.all(
            meters.map((meter, i) => meter.sample({ volts: 200 + (i % 40), place: 'cellar' }))
          )
          haveMeasured = true
        })
      }
    })
  )

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-devices-page-'))
    const flags = {
      data: join(folder, 'node'),
      logLevel: 'silent',
      compute: false,
      'gateway.enabled': true,
      'gateway.port': 0,
      'devices.enabled': true,
      'devices.fleetOwners': ['self']
    }
    const config = loadConfig({ environment: {}, flags })
    node = await createNode(config, { role: 'seed', services: [devices, driver] })
    await until(() => haveMeasured, 'all devices are there, with their readings', APPEARS_MS)
  })
  after(async () => {
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => browser.close())

  async function open(locale: string, width: number): Promise<void> {
    browser = await openDashboard(openBrowser, node.gateway!, locale, width)
    page = browser.page
    await page.getByRole('link', { name: 'artel/devices/1' }).click()
    await page.getByRole('tab', { name: /^(Devices|Устройства)$/ }).waitFor()
  }
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click()
  const button = (name: string | RegExp) => page.getByRole('button', { name })

  it('shows a thousand devices as they change, one with its history, and alerts that somebody looks after', async () => {
    await open('en-GB', 1280)
    await page.getByText('1,000 devices').waitFor()
    const rows = page.getByRole('list', { name: 'Devices' }).getByRole('listitem')
    assert.ok((await rows.count()) < DRAWN, 'what is not seen is not drawn')
    await looksRight(page, 'devices-1280', false)
    // the list becomes longer as more of it is measured
    await until(async () => {
      await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight))
      return button(/^Meter 0999/).isVisible()
    }, 'the last one is shown')
    assert.ok((await rows.count()) < DRAWN)
    await page.getByRole('textbox', { name: 'Search' }).fill('meter 0500')
    await button(/^Meter 0500/).waitFor()
    await until(async () => (await rows.count()) === 1, 'no other is shown')
    await meters[500]!.sample({ volts: 231.5 })
    await button(/volts 231.5 V/).waitFor()

    await button(/^Meter 0500/).click()
    await page.getByRole('heading', { name: 'Meter 0500' }).waitFor()
    await page
      .getByRole('img', { name: /^volts/ })
      .locator('canvas')
      .first()
      .waitFor()
    await meters[500]!.event('opened', { by: 'hand' })
    await page.getByText('"by":"hand"').waitFor()
    await meters[500]!.sample({ volts: 12.25 })
    await page.getByRole('cell', { name: '12.25 V' }).waitFor()
    await looksRight(page, 'devices-one-1280')
    await button('All devices').click()

    await tab('Alerts')
    await page.getByText('No rules yet').waitFor()
    const form = page.getByRole('form', { name: 'New rule' })
    await form.getByLabel('Name').fill('low')
    await form.getByLabel(/^Devices/).fill('meter:*')
    await form.getByLabel('When').selectOption('below')
    await form.getByLabel('Reading').fill('volts')
    await form.getByLabel('Limit').fill('100')
    await form.getByLabel('Not acknowledged for').fill('15')
    await form.getByRole('button', { name: 'Save' }).click()
    await page.getByText('meter:*: volts below 100 · warning · others are told after 15 min').waitFor()
    await meters[7]!.sample({ volts: 3 })
    await button('Acknowledge low of meter:0007').click()
    await page.getByText('warning, acknowledged').waitFor()
    await meters[7]!.sample({ volts: 230 })
    await page.getByText('warning, over').waitFor()
    const silence = page.getByRole('form', { name: 'Silence' })
    await silence.getByLabel('Why').fill('new meters')
    await silence.getByRole('button', { name: 'Silence' }).click()
    await page.getByText(/new meters · /).waitFor()
    await looksRight(page, 'devices-alerts-1280')
    await button('End the silence of *').click()
    await button('Remove the rule low').click()
    await page.getByText('No rules yet').waitFor()

    await tab('Logs')
    await page.getByText(/^The log of this node has/).waitFor()
    await button('Compare with the database').click()
    await page.getByRole('alert').getByText('mirrors nothing').waitFor()
    assert.deepEqual([...browser.hosts], [new URL(node.gateway!.url!).host])
  })

  it('writes how devices should be and who may command them, shows what is not so, and commands', async () => {
    await open('en-GB', 1280)
    await tab('Fleet')
    await page.getByText('No document yet').waitFor()
    await page.getByRole('form', { name: 'New node' }).getByLabel('Peer id').fill(node.id)
    await button('Add').click()
    await page.getByText(/^Version 1 of its document/).waitFor()
    const group = page.getByRole('form', { name: 'New group' })
    await group.getByLabel('Name').fill('cellar')
    await group.getByLabel(/^Its devices/).fill('meter:0500, meter:0501')
    await group.getByRole('button', { name: 'Save' }).click()
    await page.getByText('@cellar').waitFor()
    const setting = page.getByRole('form', { name: 'New setting' })
    await setting.getByLabel(/^Devices/).fill('@attic')
    await setting.getByLabel('Setting').fill('limit')
    await setting.getByLabel('Value').fill('7')
    await button('Set').click()
    await page.getByText('there is no group @attic').waitFor()
    await setting.getByLabel(/^Devices/).fill('@cellar')
    await setting.getByLabel('Setting').fill('limit')
    await setting.getByLabel('Value').fill('7')
    await button('Set').click()
    await page.getByText('limit = 7').waitFor()
    await until(() => limit === 7, 'it is set')
    await setting.getByLabel('Setting').fill('limit')
    await setting.getByLabel('Value').fill('70')
    await button('Set').click()
    await page.getByText('meter:0500: limit should be 70, is 7 (it has one digit)').waitFor()
    await page.getByText('not as wanted').waitFor()
    const grant = page.getByRole('form', { name: 'New grant' })
    await grant.getByLabel('Peer id').fill(node.id)
    await grant.getByLabel(/^Devices/).fill('meter:*')
    await grant.getByLabel('Up to which risk').selectOption('2')
    await button('Allow').click()
    await page.getByText(/may command meter:\*/).waitFor()
    await looksRight(page, 'devices-fleet-1280')

    await tab('Devices')
    await page.getByRole('textbox', { name: 'Search' }).fill('meter 0500')
    await button(/^Meter 0500/).click()
    const form = page.getByRole('form', { name: 'Commands' })
    await form.getByLabel(/^Arguments/).fill('{"from":3}')
    await form.getByRole('button', { name: 'Do it' }).click()
    const question = page.getByRole('dialog')
    await question.getByText('Count from nothing. it disturbs').waitFor()
    await question.getByRole('button', { name: 'Do it' }).click()
    await page.getByText('Done: {"from":3}').waitFor()
    await page.getByText('"is":"started"').waitFor()
    await looksRight(page, 'devices-command-1280')
  })

  it('fits a phone, in Russian, also what the database lacks', async () => {
    await open('ru-RU', 400)
    await page.getByText(/Устройств: 1\s000/).waitFor()
    const look = async (name: string): Promise<void> => {
      assert.deepEqual(await overflowing(page, 400), [], name)
      await looksRight(page, `devices-400-${name}`, false)
    }
    await look('devices')
    await button(/^Meter 0001/).click()
    await button('Все устройства').waitFor()
    await look('device')
    await tab('Тревоги')
    await page.getByText('Правил пока нет').waitFor()
    await look('alerts')
    await tab('Парк')
    await page.getByText(/^Версия документа/).waitFor()
    await look('fleet')
    await tab('Журналы')
    const items = [
      { agent: node.id, number: 0, first: 0, last: 9, rows: 8, missing: 1, wrong: 1, unknown: 0 }
    ]
    await page.route('**/api/v1/devices/reconciliation', route =>
      route.fulfill({ json: { isRight: false, items } })
    )
    await button('Сверить с базой данных').click()
    await page.getByText('База не такая, как журнал').waitFor()
    await look('logs')
    assert.deepEqual(browser.errors, [])
  })
})
