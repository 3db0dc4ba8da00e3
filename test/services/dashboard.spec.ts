import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { Processes, type Started, until } from '../integration/processes.ts'
import { type Browser, keepPicture, overflowing, seriousFindings, useChromium } from './browser.ts'
import { quietPort } from './quiet-port.ts'

const BUILT = fileURLToPath(new URL('../../services/gateway/ui/dist/index.html', import.meta.url))
const PAGES = ['overview', 'jobs', 'compose', 'ledger', 'contribute', 'services']
const WIDTHS = [400, 1280, 3840]
/** a client: it computes for nobody, and serves the dashboard */
const CLIENT = ['--compute', 'false', '--gateway-enabled', 'true', '--gateway-port']
const APPEARS_MS = 120_000
const PRIMES = 'Count primes'

describe('services: dashboard', () => {
  const processes = new Processes()
  const openBrowser = useChromium()
  let browser: Browser
  let page: Page
  let client: Started
  let workers: Started[]
  let url: string
  let token: string

  before(async () => {
    assert.ok(existsSync(BUILT), 'the dashboard is not built: npm run build:ui')
    await processes.seed()
    workers = await Promise.all([1, 2].map(() => processes.worker()))
    // it is started there once more
    client = await processes.worker(undefined, { args: [...CLIENT, `${await quietPort()}`] })
    url = dashboardOf(client)
    token = (await readFile(join(client.data, 'gateway-token'), 'utf8')).trim()
    await until('the client knows what both workers offer', async () => {
      const { items } = await api<{ items: { peer: string }[] }>('/offers')
      return workers.every(({ ready }) => items.some(({ peer }) => peer === ready.id))
    })
  })

  after(() => processes.stop())

  beforeEach(async () => {
    browser = await openBrowser()
    page = browser.page
    page.setDefaultTimeout(APPEARS_MS)
  })

  afterEach(() => browser.close())

  const api = async <T>(path: string): Promise<T> => {
    const headers = { authorization: `Bearer ${token}` }
    return (await (await fetch(`${url}/api/v1${path}`, { headers })).json()) as T
  }

  const enter = async (on = page): Promise<void> => {
    await on.goto(`${url}/#token=${token}`)
    await on.getByRole('img', { name: /Live|на связи/ }).waitFor()
  }

  const open = async (path: string, on = page): Promise<void> => {
    await on.evaluate(hash => {
      window.location.hash = hash
    }, `#/${path}`)
    await on.locator('h1').waitFor()
  }

  /** Runs an example of the gallery to its end; the answer is the id of its job. */
  const run = async (title: string): Promise<string> => {
    await open('compose')
    await page.getByRole('button', { name: title }).click()
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    const watch = page.getByRole('region', { name: 'The job that runs' })
    await watch.getByText('completed').waitFor()
    const link = await watch.getByRole('link', { name: 'Open' }).getAttribute('href')
    return link!.split('/').at(-1)!
  }

  let primes: string | undefined
  /** The id of a job with many pieces that two workers did; it runs once for all tests. */
  const manyPieces = async (): Promise<string> => {
    if (primes == null) {
      await enter()
      primes = await run(PRIMES)
    }
    return primes
  }

  it('runs a job that was composed in the browser, and shows price, progress, result and who calculated it', async () => {
    await enter()
    await open('compose')
    await page.getByRole('button', { name: PRIMES }).click()
    await page.getByRole('button', { name: 'What will it cost?' }).click()
    await page.getByText('At most, credits').waitFor()
    primes = await run(PRIMES)
    await page.getByText('1,270,607').waitFor()
    await open(`jobs/${primes}`)
    await page.getByRole('heading', { name: 'Primes up to 20 million' }).waitFor()
    await page.getByRole('img', { name: /Map of 611 pieces of the job, 611 done/ }).waitFor()
    // on a busy machine one of them may do all of it
    const [one, other] = workers.map(({ ready }) => page.getByRole('button', { name: `Copy ${ready.id}` }))
    await one!.or(other!).first().waitFor()
    await page.getByText("operation: 'sum'").waitFor()
    assert.deepEqual(browser.errors, [])
    assert.deepEqual([...browser.hosts], [new URL(url).host])
  })

  it('shows a result as the picture, chart or table that it is', async () => {
    await enter()
    await run('Mandelbrot set')
    await page.getByRole('img', { name: 'The result as a picture, 480 × 300' }).waitFor()
    await run('Two waves')
    await page.getByRole('img', { name: 'Chart of 400 values' }).waitFor()
    await run('Count words')
    await page.getByRole('cell', { name: 'hands' }).waitFor()
    assert.deepEqual(browser.errors, [])
  })

  it('shows what is known of services while others are still looked for', async () => {
    const search = Promise.withResolvers<void>()
    await page.route('**/api/v1/services', async route => {
      await search.promise
      await route.continue()
    })
    await enter()
    await open('services/artel%2Fcompute%2F1')
    await page.getByText('looking for others…').waitFor()
    search.resolve()
    for (const { ready } of workers) await page.getByRole('button', { name: `Copy ${ready.id}` }).waitFor()
    assert.equal(await page.getByText('looking for others…').count(), 0)
    assert.deepEqual(browser.errors, [])
  })

  it('shows a failure with the place in the author’s code', async () => {
    await enter()
    await open('compose')
    await page.getByRole('button', { name: 'A mistake' }).click()
    await page.keyboard.press('Tab')
    await page.getByRole('textbox', { name: /The task/ }).press('Control+Enter')
    const alert = page.getByRole('alert').filter({ hasText: 'The code threw an error' })
    await alert.getByText('unlucky 13').waitFor()
    await alert.getByText(/task:2:/).waitFor()
  })

  it('points to the line that is no task, and submits nothing', async () => {
    await enter()
    await open('compose')
    const editor = page.getByRole('textbox', { name: /The task/ })
    await editor.fill("{\n  type: 'map',\n  items: fetchThem()\n}")
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('alert').getByText('Line 3').waitFor()
  })

  it('follows a job that runs, and cancels it after asking', async () => {
    await enter()
    await open('compose')
    const editor = page.getByRole('textbox', { name: /The task/ })
    await editor.fill("{ name: 'Long', type: 'range_reduce', start: 1, end: 1e10, map: x => x % 7 }")
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    const watch = page.getByRole('region', { name: 'The job that runs' })
    await watch.getByText('running').waitFor()
    await watch.getByRole('progressbar').first().waitFor()
    await watch.getByRole('button', { name: 'Cancel' }).click()
    await watch.getByRole('button', { name: 'Really cancel?' }).click()
    await watch.getByText('cancelled').waitFor()
    await open('jobs')
    await page.getByLabel('State').selectOption('cancelled')
    await page.getByRole('link', { name: /^Long/ }).waitFor()
    assert.deepEqual(browser.errors, [])
  })

  it('sends credits to another account', async () => {
    await enter()
    await open('ledger')
    await page.getByRole('button', { name: 'Send credits' }).click()
    const dialog = page.getByRole('dialog', { name: 'Send credits' })
    await dialog.getByLabel('To account').fill(workers[0]!.ready.id)
    await dialog.getByLabel('Credits').fill('1.5')
    assert.deepEqual(await seriousFindings(page), [])
    await dialog.getByRole('button', { name: 'Send' }).click()
    await dialog.waitFor({ state: 'detached' })
    const row = page.getByRole('row').filter({ hasText: 'Transfer' })
    await row.getByText('-1.5').waitFor()
    assert.deepEqual(browser.errors, [])
  })

  it('checks a receipt that is dropped, and refuses one that was changed', async () => {
    await enter()
    const job = await manyPieces()
    const rows = await until('receipts', async () => {
      const { items } = await api<{ items: { receipt: string }[] }>(`/tasks/${job}/receipts`)
      return items.length > 0 ? items : undefined
    })
    const receipt = Buffer.from(rows[0]!.receipt, 'base64')
    await open('ledger')
    await drop(page, receipt)
    await page.getByText('The receipt is valid').waitFor()
    receipt[receipt.length - 1]! ^= 1
    await drop(page, receipt)
    await page.getByText('The receipt is not valid').waitFor()
    await page.getByText('Payment for work').first().waitFor()
  })

  it('asks for a token where there is none or a wrong one, and takes the right one', async () => {
    await page.goto(url)
    await page.getByText('This dashboard belongs to your node').waitFor()
    assert.deepEqual(await seriousFindings(page), [])
    await page.goto(`${url}/#token=wrong`)
    await page.getByText('The node did not accept the token').waitFor()
    await page.getByLabel('Token', { exact: true }).fill(token)
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.getByRole('img', { name: /Live/ }).waitFor()
    assert.ok(!page.url().includes(token))
  })

  it('keeps the limits of this machine that are set, and switches lending on and off', async () => {
    // there is nothing left to save once the node has it; a page that goes before takes its request along
    const save = async (): Promise<void> => {
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByRole('button', { name: 'Save', disabled: true }).waitFor()
    }
    await enter()
    await open('contribute')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByLabel('From, quiet time 1').fill('23:00')
    await save()
    await page.reload()
    assert.equal(await page.getByLabel('From, quiet time 1').inputValue(), '23:00')
    await page.getByRole('button', { name: 'Remove quiet time 1' }).click()
    await save()
    await page.getByText('None: work may come at any hour.').waitFor()
    assert.deepEqual(browser.errors, [])
  })

  it('can be used with the keyboard alone', async () => {
    await enter()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.locator('#main:focus').waitFor()
    await page.getByRole('link', { name: 'Jobs' }).first().focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Jobs' }).waitFor()
    await page.locator('#main:focus').waitFor()
  })

  it('scrolls through 100,000 jobs and draws only those that are seen', async () => {
    await page.route('**/api/v1/tasks?*', route => {
      const query = new URL(route.request().url()).searchParams
      const first = Number(query.get('cursor') ?? 0)
      const items = Array.from({ length: Number(query.get('limit')) }, (_, index) => jobNumber(first + index))
      return route.fulfill({ json: { items, total: 100_000, next: String(first + items.length) } })
    })
    await enter()
    await open('jobs')
    await page.getByText('100,000 jobs').waitFor()
    await page.getByText('Job number 0', { exact: true }).waitFor()
    const row = await page
      .getByRole('listitem')
      .first()
      .evaluate(element => element.clientHeight)
    await page.evaluate(top => window.scrollTo({ top }), 5000 * row)
    await page
      .getByText(/^Job number 50\d\d$/)
      .first()
      .waitFor()
    assert.ok((await page.getByRole('listitem').count()) < 60)
    assert.ok((await page.evaluate(() => document.documentElement.scrollHeight)) >= 100_000 * row)
  })

  it('works over a slow line, and says that it loads', async () => {
    const cdp = await browser.context.newCDPSession(page)
    await cdp.send('Network.enable')
    const slow = { offline: false, latency: 400, downloadThroughput: 100_000, uploadThroughput: 50_000 }
    await cdp.send('Network.emulateNetworkConditions', slow)
    await enter()
    // on a fast machine it would be gone before anybody looks
    await page.route('**/assets/ledger-*.js', async route => {
      await page.getByRole('status', { name: 'Loading…' }).first().waitFor()
      await route.continue()
    })
    await open('ledger')
    await page.getByText('In the whole network').waitFor()
    assert.deepEqual(browser.errors, [])
  })

  const looks = [
    { locale: 'en-GB', colorScheme: 'light' },
    { locale: 'ru-RU', colorScheme: 'dark' }
  ] as const
  for (const look of looks)
    it(`has every page in ${look.locale} and ${look.colorScheme}, in three widths, accessible and without errors`, async function () {
      this.timeout(600_000)
      const job = await manyPieces()
      const other = await openBrowser(look)
      const findings: string[] = []
      try {
        await enter(other.page)
        for (const path of [...PAGES, `jobs/${job}`, 'services/artel%2Fcompute%2F1']) {
          await open(path, other.page)
          for (const finding of await seriousFindings(other.page)) findings.push(`${path}: ${finding}`)
          const name = path.startsWith('jobs/') ? 'job' : path.replace(/\/.*/, '-one')
          for (const width of WIDTHS) {
            assert.deepEqual(await overflowing(other.page, width), [], `${path} is wider than ${width}`)
            await keepPicture(other.page, `${name}-${width}-${look.colorScheme}`)
          }
        }
        assert.deepEqual(findings, [])
        assert.deepEqual(other.errors, [])
      } finally {
        await other.close()
      }
    })

  it('sees a worker vanish that was killed', async () => {
    await enter()
    const { program, ready } = workers[1]!
    const row = page.getByRole('row').filter({ has: page.getByRole('button', { name: `Copy ${ready.id}` }) })
    await row.waitFor()
    await program.kill()
    await row.waitFor({ state: 'detached' })
    assert.deepEqual(browser.errors, [])
  })

  it('says that its node is gone, and goes on by itself when it is back', async () => {
    await enter()
    await open('ledger')
    await page.getByText('In the whole network').waitFor()
    await client.program.kill()
    await page.getByText('The node does not answer').first().waitFor()
    // what was known stays to be read
    await page.getByText('In the whole network').waitFor()
    const port = new URL(url).port
    client = await processes.worker(client.data, { args: [...CLIENT, port] })
    await page.getByRole('img', { name: /Live/ }).waitFor()
    await page.getByRole('heading', { name: 'Ledger' }).waitFor()
  })
})

function dashboardOf({ ready }: Started): string {
  const { dashboard } = ready as unknown as { dashboard?: string }
  assert.ok(dashboard)
  return dashboard
}

async function drop(page: Page, bytes: Buffer): Promise<void> {
  const data = await page.evaluateHandle(base64 => {
    const transfer = new DataTransfer()
    transfer.items.add(new File([Uint8Array.from(atob(base64), char => char.charCodeAt(0))], '0.receipt'))
    return transfer
  }, bytes.toString('base64'))
  await page.getByRole('region', { name: 'Verify a receipt' }).dispatchEvent('drop', { dataTransfer: data })
}

function jobNumber(index: number) {
  return {
    job: index.toString(16).padStart(16, '0'),
    name: `Job number ${index}`,
    type: 'map',
    state: 'completed',
    submitted: 1_700_000_000_000 - index,
    finished: 1_700_000_000_000,
    done: 1,
    total: 1,
    retries: 0,
    bound: '1000000',
    paid: '1000',
    shares: []
  }
}
