import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isDeepStrictEqual } from 'node:util'
import type { Page } from 'playwright-core'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { devices, OWNER, sas } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { type Browser, looksRight, openDashboard, overflowing, useChromium } from '../browser.ts'
import { Machine } from './machine.ts'
import { TcpWire } from './wire.ts'

const APPEARS_MS = 120_000
const CREDITS = { command: '1A', poll_type: 'R' }
/** 1E is a poll that neither machine knows */
const SETS = {
  look: [CREDITS, { command: '55', poll_type: 'R' }, { command: '1E', poll_type: 'R' }],
  close: [CREDITS, { command: '07', poll_type: 'S' }],
  pay: [{ command: '94', poll_type: 'S' }]
}

describe('sas: page', function () {
  this.timeout(600_000)
  const machines = [new Machine({ address: 1, serial: 'A-17' }), new Machine({ address: 2, serial: 'B-20' })]
  const wire = new TcpWire(machines)
  let folder: string
  let line: string
  let node: ArtelNode
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sas-page-'))
    await mkdir(join(folder, 'files', 'sets'), { recursive: true })
    for (const [name, polls] of Object.entries(SETS))
      await writeFile(join(folder, 'files', 'sets', `${name}.json`), JSON.stringify(polls), { mode: 0o600 })
    line = await wire.listen()
    const flags = {
      data: join(folder, 'node'),
      logLevel: 'silent',
      compute: false,
      'gateway.enabled': true,
      'gateway.port': 0,
      'devices.enabled': true,
      'sas.enabled': true,
      'sas.filesFolder': join(folder, 'files'),
      'sas.machines': [line, `${line}#2`],
      'sas.answerMs': 200,
      'sas.pollMs': 1,
      'sas.meterSeconds': 1
    }
    node = await createNode(loadConfig({ environment: {}, flags }), {
      role: 'seed',
      services: [devices, sas]
    })
    const up = async (): Promise<boolean> => {
      const { items } = (await node.services.call('sas', 'machines', {} as never, { caller: OWNER })) as {
        items: { isUp: boolean }[]
      }
      return items.filter(({ isUp }) => isUp).length === machines.length
    }
    await until(up, 'both machines are up', APPEARS_MS)
    for (let i = 0; i < 5; i++) machines[0]!.play(3, i === 0 ? 10 : 0)
    machines[0]!.bill(0x49)
  })
  after(async () => {
    await node?.stop()
    await wire[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => browser?.close())

  async function open(locale: string, width: number): Promise<void> {
    browser = await openDashboard(openBrowser, node.gateway!, locale, width)
    page = browser.page
    await page.getByRole('link', { name: 'artel/sas/1' }).click()
    await page.getByRole('tab', { name: /^(Machines|Автоматы)$/ }).waitFor()
  }
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click()
  async function look(name: string, width: number): Promise<void> {
    assert.deepEqual(await overflowing(page, width), [], name)
    await looksRight(page, `sas-${width}-${name}`)
  }

  /** Chooses, says yes, and waits for the end: what each said, in its order. */
  async function run(
    set: string,
    place: string,
    [set_, at, go, over]: readonly [string, string, string, string]
  ) {
    await page.getByLabel(set_, { exact: true }).selectOption(set)
    await page.getByLabel(at, { exact: true }).selectOption(place)
    await page.getByRole('button', { name: go }).click()
    await page.getByRole('dialog').getByRole('button', { name: go }).click()
    await page.getByText(over).waitFor()
    const rows = await page.getByRole('row').allInnerTexts()
    return machines.map(({ serial }) =>
      rows.map(row => row.split(/\s*\t\s*/)).filter(([of]) => of === serial)
    )
  }
  /** A machine that stood still for seconds with the computer is deaf at first: then it is done again. */
  async function runs(
    set: string,
    place: string,
    texts: Parameters<typeof run>[2],
    expected: readonly string[][][]
  ): Promise<void> {
    const end = Date.now() + APPEARS_MS
    let rows = await run(set, place, texts)
    while (!isDeepStrictEqual(rows, expected) && Date.now() < end) rows = await run(set, place, texts)
    assert.deepEqual(rows, expected)
  }

  it('shows machines as they play, runs sets of polls, adds up the log, and asks a person what no machine can tell', async () => {
    await open('en-GB', 1280)
    await page.getByText('A-17: in 15, out 10, net 5, games 5').waitFor()
    // it goes on while somebody looks
    machines[0]!.play(4, 0)
    await page.getByText('A-17: in 19, out 10, net 9, games 6').waitFor()
    await look('machines', 1280)

    await tab('Sets of polls')
    await page.getByText(/^pay: .* 94 moves money/).waitFor()
    const texts = ['Set', 'At', 'Run', 'It is over'] as const
    machines[1]!.add(0x0c, 321)
    await runs('look', `${line}#2`, texts, [
      [],
      [
        ['B-20', '1a', 'answered', 'credits 321'],
        ['B-20', '55', 'answered', 'game 1'],
        ['B-20', '1e', 'no answer', '']
      ]
    ])
    await look('sets', 1280)
    // it changes a machine, and that is off: nothing of it is sent
    await runs('close', '', texts, [[], []])
    await page.getByText(/set sas.control to allow it/).waitFor()
    assert.deepEqual(
      machines.map(({ acceptsBills }) => acceptsBills),
      [true, true]
    )

    await tab('Orders')
    await page.getByText('No orders yet').waitFor()
    // as it stands after a handpay that nobody can say anything of
    using db = new DatabaseSync(join(folder, 'node', 'services', 'sas', 'sas.sqlite'))
    db.exec(`INSERT INTO payment (id, machine, place, does, cents, credits, signers, at, before_meter, ending, why)
      VALUES ('0b9f3c3a-6f4e-4d4e-9a53-0f0f5e1b2c3d', 'A-17', 'x', 'handpay', 1250, 1250, '[]', 1, 0, 'unknown', 'nobody knows')`)
    await page.getByText('Handpay of 12.50 at A-17').waitFor()
    await look('orders', 1280)
    await page.getByLabel('What was seen at A-17').fill('paid, the display says so')
    await page.getByRole('button', { name: 'It was done' }).click()
    await page.getByText('paid, the display says so').waitFor()

    await tab('Reconciliation')
    await page.getByRole('button', { name: 'Add up' }).click()
    await page.getByText(/^A-17: .* sums/).waitFor()
    await look('reconciliation', 1280)
    await page.getByText('A-17: All sums agree.').waitFor()
    await page.getByRole('row', { name: 'Bills by the meter and by exceptions 10 10' }).waitFor()
    await page.getByText('In 19, out 10, net 9').waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Save as CSV' }).click()
    ])
    assert.equal(download.suggestedFilename(), 'A-17.csv')
    assert.deepEqual(browser.errors, [])
    assert.deepEqual([...browser.hosts], [new URL(node.gateway!.url!).host])
  })

  it('fits a phone, in Russian', async () => {
    await open('ru-RU', 400)
    await page.getByText('A-17: вход').waitFor()
    await look('machines', 400)
    await tab('Наборы опросов')
    const said = (serial: string, credits: string): string[][] => [
      [serial, '1a', 'ответил', `credits ${credits}`],
      [serial, '55', 'ответил', 'game 1'],
      [serial, '1e', 'нет ответа', '']
    ]
    const all = [said('A-17', '0'), said('B-20', '321')]
    await runs('look', '', ['Набор', 'Где', 'Запустить', 'Закончено'], all)
    await look('sets', 400)
    await tab('Распоряжения')
    await page.getByText('Ручная выплата').waitFor()
    await look('orders', 400)
    await tab('Сверка')
    await page.getByRole('button', { name: 'Сверить' }).click()
    await page.getByText('Все суммы сходятся').waitFor()
    await look('reconciliation', 400)
    assert.deepEqual(browser.errors, [])
  })
})
