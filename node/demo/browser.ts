import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { encodeValue } from '../../sandbox/index.ts'
import { asText } from '../../scheduler/index.ts'
import { toWire } from '../../services/index.ts'
import { credits, table } from '../cli/output.ts'
import { runJob } from '../cli/run-job.ts'
import { HOSTILE_COUNT, hostileSpec, TAB_JOBS } from './browser-jobs.ts'
import { type LentTab, openTabs } from './browser-tabs.ts'
import type { Demo } from './contract.ts'
import { type DemoNode, until } from './stage.ts'
import { createSteps } from './steps.ts'

const TABS = 5
const CLOSED = 2
/** of the seed and the client; tabs get none */
const GRANTS = 2n * 100_000_000n
const inTime = () => ({ signal: AbortSignal.timeout(600_000) })

interface Balances {
  total: bigint
  available: Map<string, bigint>
  isSettled: boolean
}

/** Nobody computes but tabs of a browser, for a node that they did not know. */
export const browser: Demo = {
  summary:
    'five tabs of Chromium join and compute, two are closed in the middle, hostile programs reach nothing, and each tab is paid',
  async run(stage) {
    const { say, nodes } = stage
    const { step, played } = createSteps(say)
    await using canary = await openCanary()
    await using tabs = await openTabs()
    say('Starting a seed that serves /volunteer and a client, neither of which computes …')
    const serve = ['--gateway-enabled', '--gateway-port', '0', '--gateway-volunteers']
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--compute', 'false']
    const seed = await stage.start('seed', ['seed', ...listen, ...serve])
    const client = await stage.start('client', [
      ...['start', '--seed', seed.address, '--gateway-enabled', 'false', ...listen],
      ...['--listen', '/ip4/127.0.0.1/tcp/0/ws']
    ])
    await until('both grants', async () => (await balances(client)).total === GRANTS)
    const { url } = JSON.parse(await readFile(join(seed.folder, 'gateway.json'), 'utf8')) as { url: string }
    const workers = async (): Promise<number> => (await client.control.network.network()).workers

    let all: LentTab[] = []
    await step(`${TABS} tabs lend`, async () => {
      all = await Promise.all(Array.from({ length: TABS }, (_, i) => tabs.lend(`tab${i + 1}`, url)))
      await until('the client to find them', async () => (await workers()) === TABS)
      return { right: new Set(all.map(({ id }) => id)).size === TABS, detail: `${TABS} accounts` }
    })

    const paid = new Map<string, bigint>()
    const slices = new Map<string, number>()
    const compute = async (spec: object, onProgress?: (done: number, total: number) => void) => {
      const { result, report } = await runJob(client.control, spec, {
        ...inTime(),
        ...(onProgress && { onProgress: ({ done, total }) => onProgress(done, total) })
      })
      for (const share of report.shares) {
        paid.set(share.worker, (paid.get(share.worker) ?? 0n) + BigInt(share.paid))
        slices.set(share.worker, (slices.get(share.worker) ?? 0) + share.slices)
      }
      return { result, by: report.shares.filter(({ slices }) => slices > 0).length }
    }

    let closing: Promise<unknown> | undefined
    for (const [i, { name, spec, directly, show }] of TAB_JOBS.entries())
      await step(i === 0 ? `${name}; two tabs closed` : name, async () => {
        const { result, by } = await compute(spec, (done, total) => {
          if (i === 0 && done > total / 10)
            closing ??= Promise.all(all.slice(0, CLOSED).map(tab => tab.close()))
        })
        await closing
        const isEqual = Buffer.compare(encodeValue(result), encodeValue(await directly())) === 0
        return {
          right: isEqual && closing != null,
          detail: `${show(result as never)}, ${isEqual ? 'as calculated directly' : 'NOT as calculated directly'}, by ${by} tabs`
        }
      })
    await step('the closed tabs are gone', async () => {
      await until('the client to miss them', async () => (await workers()) === TABS - CLOSED)
      return { right: true, detail: `${TABS - CLOSED} are left` }
    })
    const left = all.slice(CLOSED)

    await step(`${HOSTILE_COUNT} hostile programs`, async () => {
      const before = await Promise.all(left.map(belongings))
      const { result } = await compute(hostileSpec(canary.url))
      const held = (result as string[]).filter(each => each !== 'nothing')
      const after = await Promise.all(left.map(belongings))
      const isUntouched = JSON.stringify(before) === JSON.stringify(after)
      return {
        right:
          held.length === 0 &&
          canary.calls === 0 &&
          isUntouched &&
          (result as string[]).length === HOSTILE_COUNT,
        detail: `${held.length} got hold of something, ${canary.calls} calls on the canary, storage and pages ${isUntouched ? 'as before' : 'CHANGED'}`
      }
    })
    await step('a loop without an end', async () => {
      const spec = { type: 'map', items: [1, 2, 3], fn: 'x => { for (;;) x++ }', deadline: 3_000 }
      const { job } = await client.control.compute.submit({ spec: asText(spec) }, inTime())
      const { state } = await client.control.compute.follow({ id: job.job }, inTime())
      const { result } = await compute({ type: 'map', items: [1, 2, 3], fn: 'x => x + 1' })
      return {
        right: state !== 'completed' && `${result}` === '2,3,4',
        detail: `${state}; the tabs go on`
      }
    })

    let shown: (string | number)[][] = []
    await step('credits', async () => {
      await until('all to be settled', async () =>
        (await Promise.all([...nodes.values()].map(balances))).every(({ isSettled }) => isSettled)
      )
      const [atSeed, atClient] = await Promise.all([balances(seed), balances(client)])
      const isPaid = all.every(({ id }) =>
        [atSeed, atClient].every(({ available }) => (available.get(id) ?? 0n) === (paid.get(id) ?? 0n))
      )
      const isSum = [atSeed, atClient].every(({ total }) => total === GRANTS)
      const earned = all.reduce((sum, { id }) => sum + (paid.get(id) ?? 0n), 0n)
      shown = all.map(({ name, id }, i) => [
        `${name}${i < CLOSED ? ' (closed)' : ''}`,
        slices.get(id) ?? 0,
        credits(paid.get(id) ?? 0n),
        credits(atSeed.available.get(id) ?? 0n)
      ])
      return {
        right: isPaid && isSum && earned > 0n && left.every(({ id }) => (paid.get(id) ?? 0n) > 0n),
        detail: `${credits(earned)} to tabs; the sum is ${isSum ? 'that of the grants on both nodes' : 'WRONG'}`
      }
    })

    let isGone = false
    await step('the browser ends', async () => {
      isGone = await tabs.end()
      await until('the client to be alone', async () => (await workers()) === 0)
      return { right: isGone, detail: isGone ? 'its process is gone' : 'its process is LEFT' }
    })
    const { right, report, text } = played(isGone)
    const perTab = table(['TAB', 'SLICES', 'PAID', 'BALANCE AT THE SEED'], shown)
    return { right, report: { ...report, tabs: shown }, text: `${text}\n\n${perTab}` }
  }
}

async function balances({ control }: DemoNode): Promise<Balances> {
  const { accounts, supply } = JSON.parse(toWire(await control.credits.balance({ all: true }))) as {
    accounts: Record<string, { available: string; reserved: string }>
    supply: { total: string }
  }
  return {
    total: BigInt(supply.total),
    available: new Map(Object.entries(accounts).map(([id, { available }]) => [id, BigInt(available)])),
    isSettled: Object.values(accounts).every(({ reserved }) => reserved === '0')
  }
}

/** What a program could have changed of a page. */
const belongings = ({ page }: LentTab): Promise<unknown> =>
  page.evaluate(async () => ({
    title: document.title,
    cookies: document.cookie,
    databases: (await indexedDB.databases()).map(({ name }) => name),
    caches: await caches.keys(),
    // the meter of what was lent is the page's own
    storage: Object.keys(localStorage).filter(name => name !== 'artel.lent'),
    frames: document.querySelectorAll('iframe').length
  }))

/** A server that nobody has a reason to ask. */
async function openCanary() {
  let calls = 0
  const server = createServer((_, answer) => {
    calls++
    answer.setHeader('access-control-allow-origin', '*').end('reached')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get calls() {
      return calls
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}
