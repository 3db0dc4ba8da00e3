import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { createNode, loadConfig } from '../../node/index.ts'
import { devices, OWNER } from '../../services/index.ts'
import { launchChromium, openBrowser, openDashboard } from '../../test/services/browser.ts'
import { driverOf } from '../../test/services/devices/driver-of.ts'

const HOUR_MS = 3_600_000
const YEAR_HOURS = 8_760
/** Longer than what comes together is told together. */
const REST_MS = 400
const DEADLINE_MS = 60_000

/**
 * A node with its dashboard open in Chromium: ms of `count` values, one after the other, from the driver's call until
 * the text stands in the page, and ms of as many histories of a year by hours.
 */
export async function liveValues(
  folder: string,
  count: number
): Promise<{ shown: number[]; years: number[] }> {
  await using started = new AsyncDisposableStack()
  const { driver, opened } = driverOf({
    kind: 'bench',
    serial: '1',
    name: 'Bench',
    readings: { volts: { type: 'number' } },
    events: {}
  })
  const config = loadConfig({
    environment: {},
    flags: {
      ...{ data: folder, logLevel: 'silent', compute: false },
      ...{ 'gateway.enabled': true, 'gateway.port': 0, 'devices.enabled': true }
    }
  })
  const node = started.adopt(await createNode(config, { role: 'seed', services: [devices, driver] }), it =>
    it.stop()
  )
  const device = await opened
  await device.sample({ volts: 1 })

  const years: number[] = []
  writeYear(join(folder, 'services/devices/devices.sqlite'), node.id)
  for (let i = 0; i < count; i++) {
    const begun = performance.now()
    const input = { device: 'bench:1', reading: 'amps', step: 'hour', from: 0, to: YEAR_HOURS * HOUR_MS }
    const { points } = (await node.services.call('devices', 'history', input as never, {
      caller: OWNER
    })) as { points: unknown[] }
    years.push(performance.now() - begun)
    if (points.length !== YEAR_HOURS) throw new Error(`a year has ${points.length} hours`)
  }

  const program = started.adopt(await launchChromium(), it => it.close())
  const { page } = await openDashboard(options => openBrowser(program, options), node.gateway!, 'en-GB', 1280)
  await page.getByRole('link', { name: 'artel/devices/1' }).click()
  await page.getByRole('button', { name: /^Bench/ }).waitFor()
  let shownAt = Promise.withResolvers<number>()
  let wanted = ''
  await page.exposeFunction('told', (text: string) => {
    if (text.includes(wanted)) shownAt.resolve(performance.now())
  })
  await page.evaluate(() => {
    const { told } = globalThis as unknown as { told(text: string | null): void }
    const list = document.querySelector('main') ?? document.body
    new MutationObserver(() => told(list.textContent)).observe(list, {
      ...{ subtree: true, childList: true, characterData: true }
    })
  })
  const shown: number[] = []
  for (let i = 0; i < count; i++) {
    await delay(REST_MS)
    shownAt = Promise.withResolvers()
    wanted = `${100 + i}.25`
    const begun = performance.now()
    await device.sample({ volts: 100.25 + i })
    const late = delay(DEADLINE_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${wanted} is not on the page`)
    })
    shown.push((await Promise.race([shownAt.promise, late])) - begun)
  }
  return { shown, years }
}

/** As the service would have counted it. */
function writeYear(file: string, agent: string): void {
  const db = new DatabaseSync(file, { timeout: DEADLINE_MS })
  try {
    const insert = db.prepare('INSERT INTO rollup VALUES (?, ?, ?, ?, ?, 60, 600, 5, 15, 10)')
    db.exec('BEGIN IMMEDIATE')
    for (let hour = 0; hour < YEAR_HOURS; hour++)
      for (const [name, reading] of [
        ['bench:1', 'amps'],
        ['bench:2', 'amps'],
        ['bench:1', 'watts']
      ] as const)
        insert.run(agent, name, reading, HOUR_MS, hour * HOUR_MS)
    db.exec('COMMIT')
  } finally {
    db.close()
  }
}
