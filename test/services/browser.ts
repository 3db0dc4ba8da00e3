import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import { type BrowserContext, chromium, type Page, type Browser as Program } from 'playwright-core'
import { CHROMIUM_ARGS } from '../../node/demo/browser-tabs.ts'

export interface BrowserOptions {
  locale?: string
  colorScheme?: 'light' | 'dark'
}

/** Debian's Chromium without a window, a third less CPU time than the whole of it behind `--headless`; by the program itself, for the script of that name in /usr/bin stays between. */
const HEADLESS_SHELL = '/usr/lib/chromium/chromium-headless-shell'

/** Chromium, for tabs that know nothing of each other: `newContext` gives each its own storage. */
export const launchChromium = (args: string[] = []): Promise<Program> =>
  chromium.launch({ executablePath: HEADLESS_SHELL, headless: true, args: [...CHROMIUM_ARGS, ...args] })

/** A page with a profile of its own, empty. */
export interface Browser {
  page: Page
  context: BrowserContext
  /** errors in the console and exceptions so far */
  errors: string[]
  /** hosts that were asked for something */
  hosts: Set<string>
  close(): Promise<void>
}

/** To be called in a `describe`: opens pages in one Chromium, which starts with the first and ends after the block. */
export function useChromium(): (options?: BrowserOptions) => Promise<Browser> {
  let program: Promise<Program> | undefined
  after(async () => (await program)?.close())
  return async options => {
    program ??= launchChromium()
    return openBrowser(await program, options)
  }
}

export async function openBrowser(
  program: Program,
  { locale = 'en-GB', colorScheme = 'light' }: BrowserOptions = {}
): Promise<Browser> {
  const viewport = { width: 1280, height: 800 }
  // nobody looks while it moves, and each frame is drawn by the processor
  const context = await program.newContext({ locale, colorScheme, viewport, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const errors: string[] = []
  const hosts = new Set<string>()
  page.on('console', message => {
    if (message.type() === 'error') errors.push(`${message.text()} (${message.location().url})`)
  })
  page.on('pageerror', error => errors.push(error.stack ?? error.message))
  page.on('request', request => {
    const { protocol, host } = new URL(request.url())
    if (protocol.startsWith('http')) hosts.add(host)
  })
  return {
    page,
    context,
    errors,
    hosts,
    close: () => context.close()
  }
}

const BUILT = fileURLToPath(new URL('../../services/gateway/ui/dist/index.html', import.meta.url))
const SCREENSHOTS = fileURLToPath(new URL('../screenshots/', import.meta.url))
const WANTS_PICTURES = process.env.SCREENSHOTS === '1'
/** On a busy machine much is slow. */
const APPEARS_MS = 120_000

/** A node's dashboard in a window of that width, signed in and live, at its list of services. */
export async function openDashboard(
  open: ReturnType<typeof useChromium>,
  { url, token }: { url?: string; token?: string },
  locale: string,
  width: number
): Promise<Browser> {
  assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
  const browser = await open({ locale })
  const { page } = browser
  try {
    page.setDefaultTimeout(APPEARS_MS)
    await page.setViewportSize({ width, height: 900 })
    await page.goto(`${url}/#token=${token}`)
    await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
    await page.evaluate(() => {
      window.location.hash = '#/services'
    })
    return browser
  } catch (error) {
    await browser.close()
    throw error
  }
}

/** The page stands as `name` among the pictures, where `SCREENSHOTS=1` asks for them; `fullPage`: also what one has to scroll to. */
export async function keepPicture(page: Page, name: string, fullPage = false): Promise<void> {
  if (!WANTS_PICTURES) return
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage })
}

/** Axe has nothing serious to say of the page, of which a picture is kept. */
export async function looksRight(page: Page, name: string, fullPage = true): Promise<void> {
  assert.deepEqual(await seriousFindings(page), [], name)
  await keepPicture(page, name, fullPage)
}

/** Nothing loads any more, and what moves has come to rest: seen within the page, for each look from outside reads all of it. */
const settled = (page: Page): Promise<void> =>
  page.evaluate(async deadlineMs => {
    const isLoading = () =>
      document.querySelector(
        '.mantine-Skeleton-root, [role=status]:is([aria-label^=Loading], [aria-label^=Загрузка])'
      ) != null
    const isMoving = () =>
      document
        .getAnimations()
        .some(
          ({ effect, playState }) => playState === 'running' && effect?.getComputedTiming().iterations === 1
        )
    const end = performance.now() + deadlineMs
    // what was opened begins to move a few frames later
    for (let calm = 0; calm < 5; calm = isLoading() || isMoving() ? 0 : calm + 1) {
      if (performance.now() > end) throw new Error(`it loads or moves for ${deadlineMs} ms`)
      await new Promise(requestAnimationFrame)
    }
  }, APPEARS_MS)

/** What axe finds serious or critical on the page as it is, one line each. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await settled(page)
  // half a megabyte, which stays until the page is another one
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ['violations'] })
  )
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => {
      const [node] = nodes
      return `${id}: ${node?.html.slice(0, 160)} ${node?.failureSummary?.replaceAll('\n', ' ')}`
    })
}

/**
 * What stands out to the right of a window of that width, once the page has settled; nothing where it fits. The page is
 * given time: its columns follow the width a frame later, and on a busy machine that is not at once.
 */
export async function overflowing(page: Page, width: number): Promise<string[]> {
  await page.setViewportSize({ width, height: width > 2000 && WANTS_PICTURES ? 2160 : 900 })
  await settled(page)
  const fits = () => document.documentElement.scrollWidth <= window.innerWidth
  return page
    .waitForFunction(fits, undefined, { timeout: APPEARS_MS })
    .then(() => [])
    .catch(() =>
      page.evaluate(() =>
        [...document.querySelectorAll('body *')]
          .filter(element => element.getBoundingClientRect().right > window.innerWidth)
          .map(element => element.outerHTML.slice(0, 100))
      )
    )
}
