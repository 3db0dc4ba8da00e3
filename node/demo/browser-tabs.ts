import { existsSync } from 'node:fs'
import { chromium, type Page } from 'playwright-core'
import { InputError } from '../errors.ts'

/** Debian's. */
export const CHROMIUM = '/usr/bin/chromium'
/** It talks to nobody but those whose pages are opened. */
export const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]
const WAIT_MS = 120_000

/** A tab that lends, of a browser that knows nothing of the others. */
export interface LentTab {
  name: string
  /** peer id and account */
  id: string
  page: Page
  /** as its owner closes it: nobody is told */
  close(): Promise<void>
}

export interface Tabs extends AsyncDisposable {
  /** of the browser */
  pid: number
  /** A page of a browser that knows nothing of the others. */
  open(url: string, locale?: string): Promise<Page>
  /** Opens a page, presses its button and waits until it is connected. */
  lend(name: string, url: string): Promise<LentTab>
  /** Ends the browser; true when its process was gone by itself. */
  end(): Promise<boolean>
}

/** Debian's Chromium. */
export async function openTabs(): Promise<Tabs> {
  if (!existsSync(CHROMIUM))
    throw new InputError(`${CHROMIUM} is missing; get it with: sh bootstrap/install-debian-packages.sh`)
  const server = await chromium.launchServer({
    executablePath: CHROMIUM,
    headless: true,
    args: CHROMIUM_ARGS
  })
  const browser = await chromium.connect(server.wsEndpoint())
  const pid = server.process().pid!
  const isGone = (): boolean => !existsSync(`/proc/${pid}`)
  async function open(url: string, locale = 'en-GB'): Promise<Page> {
    const context = await browser.newContext({ locale })
    context.setDefaultTimeout(WAIT_MS)
    const page = await context.newPage()
    await page.goto(url)
    return page
  }
  return {
    pid,
    open,
    async lend(name, url) {
      const page = await open(`${url}/volunteer`)
      await page.getByLabel('Cores').selectOption('1')
      await page.getByLabel('Share of their time').selectOption('100')
      await page.getByRole('button', { name: 'Lend this tab' }).click()
      await page.getByText(/Connected|Computing/).waitFor()
      const id = await page.locator('[data-meter=account]').textContent()
      return { name, id: id!, page, close: () => page.context().close() }
    },
    async end() {
      await browser.close()
      await server.close()
      return isGone()
    },
    async [Symbol.asyncDispose]() {
      if (!isGone()) await server.kill()
    }
  }
}
