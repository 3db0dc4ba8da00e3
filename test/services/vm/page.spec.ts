import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { buildGuest } from '../../../node/demo/vm-guest.ts'
import { Processes, until } from '../../integration/processes.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from '../browser.ts'

const BUILT = fileURLToPath(new URL('../../../services/gateway/ui/dist/index.html', import.meta.url))
const APPEARS_MS = 120_000
const PEER = '12D3KooWGzBRs8tdYkK5S6xjfaZfQB6RfYkYfVHaMPbDKzUZ9yFk'

describe('vm: page', () => {
  const processes = new Processes()
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page
  let url: string
  let token: string

  before(async () => {
    assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
    await processes.seed()
    const on = [
      '--compute',
      'false',
      '--gateway-enabled',
      'true',
      '--gateway-port',
      '0',
      '--vm-enabled',
      'true'
    ]
    const node = await processes.worker(undefined, { args: on })
    url = (node.ready as unknown as { dashboard: string }).dashboard.replace(/\/?#.*$/, '')
    token = (await readFile(join(node.data, 'gateway-token'), 'utf8')).trim()
  })
  after(async () => {
    // a guest outlives its node
    if (url !== undefined) await call('POST', '/vms/g1/power', { action: 'stop', force: true })
    await processes.stop()
  })
  afterEach(() => browser.close())

  const call = (method: string, path: string, body: object): Promise<Response> =>
    fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })

  async function open(locale: string, width: number): Promise<void> {
    browser = await openBrowser({ locale })
    page = browser.page
    page.setDefaultTimeout(APPEARS_MS)
    await page.setViewportSize({ width, height: 900 })
    await page.goto(`${url}/#token=${token}`)
    await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
    await show(page)
  }

  async function show(shown: Page): Promise<void> {
    await shown.evaluate(() => {
      window.location.hash = '#/services/artel%2Fvm%2F1'
    })
    await shown.getByRole('button', { name: /New machine|Новая машина/ }).waitFor()
  }

  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name }).click()
  const screen = async (shown: Page): Promise<string> =>
    (await shown.locator('.xterm-rows > div').allTextContents()).join('\n').replaceAll('\u00a0', ' ')
  const state = (word: string): Promise<void> =>
    page.getByRole('button', { name: /^g1 / }).getByText(word, { exact: true }).waitFor()

  /** Waits for what stands on the console; where it does not come the error says what does. */
  async function shows(what: string, isThere: (text: string) => boolean, ms = APPEARS_MS): Promise<void> {
    await until(`${what} on the console`, async () => isThere(await screen(page)), ms).catch(async error => {
      throw new Error(`${error.message}:\n${(await screen(page)).trimEnd()}`)
    })
  }

  /** Types at the guest's prompt as a person does, and waits for what it prints. */
  async function type(command: string, answer: RegExp, ms = APPEARS_MS): Promise<void> {
    await page.getByRole('textbox', { name: 'Console of g1' }).focus()
    await page.keyboard.type(`${command}\n`)
    await shows(`${answer}`, text => answer.test(text), ms)
  }
  // the kernel of a slow machine still speaks when the shell has
  const PROMPT = /READY[\s\S]*^\/ #/m

  it('creates, starts, types, takes a snapshot, restores it and removes, with a guest that really runs', async () => {
    const guest = await buildGuest()
    await open('en-GB', 1280)
    await page.getByText('No machines yet').waitFor()
    await button('New machine').click()
    const form = page.getByRole('dialog')
    await form.getByRole('textbox', { name: 'Name' }).fill('g1')
    await form.getByRole('textbox', { name: 'Memory, MB' }).fill('128')
    await form.getByRole('textbox', { name: 'Disk, GB' }).fill('1')
    await form.getByText('a kernel of this computer').click()
    await form.getByRole('textbox', { name: 'Path of the kernel' }).fill(guest.kernel)
    await form.getByRole('textbox', { name: 'initial RAM disk' }).fill(guest.initrd)
    assert.deepEqual(await seriousFindings(page), [])
    await keepPicture(page, 'vm-create-1280')
    await form.getByRole('button', { name: 'Create' }).click()
    await tab('Disks')
    await page.getByText('g1-disk').waitFor()
    await tab('Console')
    await button('Start').click()
    await state('running')
    await shows('the prompt', text => PROMPT.test(text))
    await type(
      'mke2fs /dev/vda >/dev/null 2>&1; mount /dev/vda /mnt; echo kept > /mnt/file; sync; echo $((6*7))x',
      /^42x/m
    )
    await page.getByText('You type.').waitFor()
    assert.deepEqual(await seriousFindings(page), [])
    await keepPicture(page, 'vm-console-1280')

    // another window looks on, and types only when it takes over
    const other = await browser.context.newPage()
    other.setDefaultTimeout(APPEARS_MS)
    await other.goto(`${url}/#token=${token}`)
    await show(other)
    await other.getByRole('button', { name: /^g1 / }).click()
    await until('the other window sees it', async () => /^42x/m.test(await screen(other)), APPEARS_MS)
    await other.getByRole('textbox', { name: 'Console of g1' }).focus()
    // on a slow machine nobody has typed for half a minute by now
    await type('echo mine$((1+1))', /^mine2/m)
    await other.keyboard.type('echo stolen\n')
    await other.getByText('Somebody else types.').waitFor()
    await other.getByRole('button', { name: 'Take over' }).click()
    await other.getByText('You type.').waitFor()
    await page.getByText('Somebody else types.').waitFor()
    assert.doesNotMatch(await screen(page), /stolen/)
    await other.close()
    await button('Take over').click()

    await tab('Snapshots')
    await page.getByRole('textbox', { name: 'Name of the snapshot' }).fill('before')
    await button('Take a snapshot').click()
    await button('Restore before').waitFor()
    await keepPicture(page, 'vm-snapshots-1280')
    assert.deepEqual(await seriousFindings(page), [])
    await tab('Console')
    await type('rm /mnt/file; sync; ls /mnt; echo gone$((1+1))', /^gone2/m)
    await tab('Snapshots')
    await button('Restore before').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click()
    await tab('Console')
    // what the ended machine had said is over
    await shows('another boot', text => PROMPT.test(text) && !/gone2/.test(text))
    // the prompt may have been the last that the ended machine showed
    const read = (ms?: number) => type('mount /dev/vda /mnt; cat /mnt/file', /^kept/m, ms)
    await read(APPEARS_MS / 4).catch(() => read())
    await tab('Snapshots')
    await button('Remove the snapshot before').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('No snapshots yet').waitFor()

    await tab('Figures')
    await until('a line on the chart', () =>
      page.getByRole('img', { name: 'Processors in use, %' }).locator('canvas').count()
    )
    await page.getByText('Memory in use, MB').first().waitFor()
    assert.deepEqual(await seriousFindings(page), [])
    await keepPicture(page, 'vm-figures-1280')
    await tab('Rights')
    await page.getByRole('textbox', { name: 'Peer id' }).fill(PEER)
    await button('Give').click()
    await button(`Take the rights of ${PEER} away`).click()
    await page.getByText('Nobody but its owner may use it.').waitFor()

    await button('Pause').click()
    await state('paused')
    await button('Resume').click()
    await state('running')
    await button('Shut down').click()
    await state('stopped')
    await button('Remove').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await button('Remove').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('No machines yet').waitFor()
    assert.deepEqual(browser.errors, [])
    assert.deepEqual([...browser.hosts], [new URL(url).host])
  })

  it('says why something was refused, in Russian, on a phone', async () => {
    await open('ru-RU', 400)
    await button('Новая машина').click()
    const form = page.getByRole('dialog')
    await form.getByRole('textbox', { name: 'Имя' }).fill('телефон')
    await form.getByRole('button', { name: 'Создать' }).click()
    await page.getByRole('alert').getByText('телефон').waitFor()
    await form
      .getByRole('textbox', { name: 'Имя' })
      .fill('phone.with-a-name-that-is-as-long-as-such-a-name-may-ever-be-63x')
    await form.getByRole('button', { name: 'Создать' }).click()
    await button('Запустить').waitFor()
    await page.getByRole('tab', { name: 'Диски' }).click()
    await page.getByText(/-disk$/).waitFor()
    for (const name of ['Диски', 'Снимки', 'Нагрузка', 'Права', 'Консоль']) {
      await page.getByRole('tab', { name }).click()
      assert.deepEqual(await overflowing(page, 400), [], name)
      assert.deepEqual(await seriousFindings(page), [])
      await keepPicture(page, `vm-400-${name}`, true)
    }
    await button('Удалить').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Удалить' }).click()
    await page.getByText('Машин пока нет').waitFor()
    assert.deepEqual(browser.errors, [])
  })
})
