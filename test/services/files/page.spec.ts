import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { digest, seeded } from '../../../node/demo/seeded.ts'
import { Processes, until } from '../../integration/processes.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from '../browser.ts'

const BUILT = fileURLToPath(new URL('../../../services/gateway/ui/dist/index.html', import.meta.url))
const APPEARS_MS = 120_000
/** A red square of one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
  'base64'
)
/** Runs where a browser takes it for a page; as a picture it must not. */
const EVIL = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="parent.document.title='evil'"><script>parent.document.title='evil'</script></svg>`

describe('files: page', () => {
  const processes = new Processes()
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page
  let url: string
  let token: string

  before(async () => {
    assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
    await processes.seed()
    const args = [
      '--compute',
      'false',
      '--gateway-enabled',
      'true',
      '--gateway-port',
      '0',
      '--files-enabled',
      'true'
    ]
    const node = await processes.worker(undefined, { args })
    url = (node.ready as unknown as { dashboard: string }).dashboard.replace(/\/?#.*$/, '')
    token = (await readFile(join(node.data, 'gateway-token'), 'utf8')).trim()
  })
  after(() => processes.stop())

  async function open(locale: string, width: number): Promise<void> {
    browser = await openBrowser({ locale })
    page = browser.page
    page.setDefaultTimeout(APPEARS_MS)
    await page.setViewportSize({ width, height: 900 })
    await page.goto(`${url}/#token=${token}`)
    await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
    await page.evaluate(() => {
      window.location.hash = '#/services/artel%2Ffiles%2F1'
    })
    await page.getByRole('button', { name: /Choose files|Выбрать файлы/ }).waitFor()
  }
  afterEach(() => browser.close())

  /** Drops files as a person does from the desktop. */
  const drop = (files: { name: string; bytes: string }[]): Promise<void> =>
    page.evaluate(dropped => {
      const data = new DataTransfer()
      for (const { name, bytes } of dropped)
        data.items.add(new File([Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0))], name))
      document
        .querySelector('section[aria-label="Drop files here"]')!
        .dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))
    }, files)

  it('takes dropped files, shows pictures and text, gives them back, and lets go after a yes', async () => {
    await open('en-GB', 1280)
    const text = 'Hello from a file. Привет!'
    await drop([
      { name: 'red.png', bytes: PNG.toString('base64') },
      { name: 'hello.txt', bytes: Buffer.from(text).toString('base64') },
      { name: 'evil.svg', bytes: Buffer.from(EVIL).toString('base64') }
    ])
    for (const name of ['red.png', 'hello.txt', 'evil.svg'])
      await page.getByRole('button', { name: `Look at ${name}` }).waitFor()
    assert.deepEqual(await seriousFindings(page), [])
    await keepPicture(page, 'files-1280')

    const close = (): Promise<void> => page.getByRole('button', { name: 'Close' }).click()
    await page.getByRole('button', { name: 'Look at red.png' }).click()
    const picture = page.getByRole('dialog').getByRole('img', { name: 'red.png' })
    await until('the picture is drawn', () =>
      picture.evaluate(image => (image as HTMLImageElement).naturalWidth === 1)
    )
    await close()
    await page.getByRole('button', { name: 'Look at hello.txt' }).click()
    assert.equal(await page.getByRole('dialog').getByLabel('hello.txt').inputValue(), text)
    assert.deepEqual(await seriousFindings(page), [])
    await close()
    await page.getByRole('button', { name: 'Look at evil.svg' }).click()
    await page.getByRole('dialog').getByRole('img', { name: 'evil.svg' }).waitFor()
    assert.notEqual(await page.title(), 'evil')
    await close()

    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download hello.txt' }).click()
    const file = await download
    assert.equal(file.suggestedFilename(), 'hello.txt')
    assert.equal(await readFile((await file.path())!, 'utf8'), text)

    await page.getByRole('button', { name: 'Let go of hello.txt' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Keep' }).click()
    await page.getByRole('button', { name: 'Let go of hello.txt' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Let go' }).click()
    await page.getByRole('button', { name: 'Look at hello.txt' }).waitFor({ state: 'detached' })
    assert.deepEqual(browser.errors, [])
    assert.deepEqual([...browser.hosts], [new URL(url).host])
  })

  it('shows how far a large file is, in Russian, on a phone', async () => {
    await open('ru-RU', 400)
    const source = join(await processes.folder(), 'большой.bin')
    await writeFile(source, seeded('big', 100_000_000))
    // on a fast line it would be there before anybody looks
    const cdp = await browser.context.newCDPSession(page)
    const upload = (bytesPerSecond: number) =>
      cdp.send('Network.emulateNetworkConditions', {
        ...{ offline: false, latency: 0, downloadThroughput: -1 },
        uploadThroughput: bytesPerSecond
      })
    await upload(2_000_000)
    const chooser = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Выбрать файлы' }).click()
    await (await chooser).setFiles(source)
    await page.getByRole('progressbar', { name: 'Добавляется большой.bin' }).waitFor()
    await upload(-1)
    await page.getByRole('button', { name: 'Посмотреть большой.bin' }).waitFor()
    assert.deepEqual(await seriousFindings(page), [])
    assert.deepEqual(await overflowing(page, 400), [])
    await keepPicture(page, 'files-400', true)
    const response = await fetch(`${url}/api/v1/files/content?file=${encodeURIComponent('большой.bin')}`, {
      headers: { authorization: `Bearer ${token}` }
    })
    assert.equal(await digest(response.body!), await digest(seeded('big', 100_000_000)))
    assert.deepEqual(browser.errors, [])
  })
})
