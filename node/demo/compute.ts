import { fileURLToPath } from 'node:url'
import { toWire } from '../../services/index.ts'
import { credits, table } from '../cli/output.ts'
import { createProgress } from '../cli/progress.ts'
import { runJob as runTask } from '../cli/run-job.ts'
import { type DemoJob, mandelbrot, matrixProduct, primes, totients, wordCount } from './compute-jobs.ts'
import type { Demo } from './contract.ts'
import { startCrew } from './crew.ts'
import { type DemoNode, type Stage, until } from './stage.ts'

/** Genesis grants that the five nodes get together. */
const NODES = 5

interface Row {
  job: string
  result: string
  right: boolean
  slices: Record<string, number>
  ms: number
  paid: string
  /** the ledger's sum as each node saw it */
  sumBefore: Record<string, string>
  sumAfter: Record<string, string>
  killed?: string
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * A network of five processes on loopback that computes five jobs; nothing but the seed's address is given.
 * Right only if every result is right and all nodes agree on the ledger.
 */
export const compute: Demo = {
  summary: 'five processes compute five jobs, one worker is killed, the ledger is the same everywhere',
  flags: { picture: 'mandelbrot.png' },
  async run(stage, { picture }) {
    const { nodes, say } = stage
    const { client, bringBack } = await startCrew(stage)
    await until('every node to see five grants', async () => agree(await sums(nodes)))

    const rows: Row[] = []
    const run = async (job: DemoJob, kill?: string): Promise<void> => {
      rows.push(await runJob(job, { client, stage, kill }))
    }
    const product: DemoJob = matrixProduct(512, async () => {
      const privacy = { workers: [nodes.get('worker1')!.id] }
      const { result } = await runTask(client.control, { ...product.spec, privacy }, inTime())
      return result as never
    })
    await run(primes(), 'worker3')
    say('worker3 was killed in the middle.')
    await bringBack('worker3')
    await run(totients())
    await run(await wordCount(ROOT))
    await run(product)
    await run(mandelbrot(picture!))

    const last = await balances(nodes)
    const balancesEqual = new Set(last.map(({ accounts }) => JSON.stringify(accounts))).size === 1
    return {
      right: rows.every(row => row.right) && balancesEqual,
      report: {
        balancesEqual,
        jobs: rows,
        balances: Object.fromEntries(last.map(({ node, ...rest }) => [node, rest]))
      },
      text: human(rows, last, balancesEqual)
    }
  }
}

async function runJob(
  job: DemoJob,
  { client, stage, kill }: { client: DemoNode; stage: Stage; kill?: string }
): Promise<Row> {
  const { nodes } = stage
  const sumBefore = await sums(nodes)
  process.stderr.write(`\n${job.name}\n`)
  const progress = createProgress()
  let killed: Promise<void> | undefined
  const startedAt = performance.now()
  const { result, report } = await runTask(client.control, job.spec, {
    ...inTime(),
    onProgress(state) {
      progress.update(state)
      if (kill != null && killed == null && state.done > 0 && state.done < state.total) {
        killed = stage.kill(kill)
      }
    }
  })
  const ms = Math.round(performance.now() - startedAt)
  progress.end()
  await killed
  const wasKilled = kill == null || killed != null
  const isRight = (await job.check(result as never)) && wasKilled
  const names = new Map([...nodes.values()].map(node => [node.id, node.name]))
  await until(
    `all nodes to see the settlement of ${job.name}`,
    async () => agree(await sums(nodes)) && isSettled(await balances(nodes))
  )
  return {
    job: job.name,
    result: job.show(result as never),
    right: isRight,
    slices: {
      ...(kill == null ? {} : { [kill]: 0 }),
      ...Object.fromEntries(
        report.shares.map(share => [names.get(share.worker) ?? kill ?? share.worker, share.slices])
      )
    },
    ms,
    paid: String(report.paid),
    sumBefore,
    sumAfter: await sums(nodes),
    ...(kill == null ? {} : { killed: kill })
  }
}

const inTime = () => ({ signal: AbortSignal.timeout(300_000) })

interface NodeBalances {
  node: string
  total: string
  granted: string
  accounts: Record<string, { available: string; reserved: string }>
}

async function balances(nodes: Stage['nodes']): Promise<NodeBalances[]> {
  return Promise.all(
    [...nodes.values()].map(async ({ name, control }) => {
      const view = await control.credits.balance({ all: true })
      const { accounts, supply } = JSON.parse(toWire(view)) as Pick<NodeBalances, 'accounts'> & {
        supply: { total: string; granted: string }
      }
      const sorted = Object.fromEntries(Object.entries(accounts).sort(([a], [b]) => (a < b ? -1 : 1)))
      return { node: name, total: supply.total, granted: supply.granted, accounts: sorted }
    })
  )
}

async function sums(nodes: Stage['nodes']): Promise<Record<string, string>> {
  return Object.fromEntries((await balances(nodes)).map(({ node, total }) => [node, total]))
}

/** All nodes see the same sum, and it is that of all grants. */
function agree(sumsOfNodes: Record<string, string>): boolean {
  const grants = BigInt(NODES) * 100_000_000n
  return Object.values(sumsOfNodes).every(sum => BigInt(sum) === grants)
}

/** No escrow is open, and all nodes have the same balances. */
function isSettled(all: NodeBalances[]): boolean {
  const same = new Set(all.map(({ accounts }) => JSON.stringify(accounts))).size === 1
  return same && Object.values(all[0]!.accounts).every(({ reserved }) => reserved === '0')
}

function human(rows: Row[], all: NodeBalances[], balancesEqual: boolean): string {
  const jobs = table(
    ['JOB', 'RESULT', '', 'SLICES PER WORKER', 'MS', 'CREDITS'],
    rows.map(row => [
      row.job,
      row.result,
      row.right ? 'right' : 'WRONG',
      Object.entries(row.slices)
        .sort()
        .map(([name, slices]) => `${name}: ${slices}${name === row.killed ? ' (killed)' : ''}`)
        .join('  '),
      row.ms,
      credits(row.paid)
    ])
  )
  const first = rows[0]!
  const ledger = table(
    ['NODE', 'SUM BEFORE', 'SUM AFTER', 'GRANTS'],
    all.map(({ node, total, granted }) => [
      node,
      credits(first.sumBefore[node] ?? total),
      credits(total),
      credits(granted)
    ])
  )
  return `${jobs}\n\nLedger, as every node sees it\n${ledger}\n\nbalances ${balancesEqual ? 'equal on all nodes' : 'DIFFER'}`
}
