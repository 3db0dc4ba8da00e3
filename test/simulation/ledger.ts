import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { run as bench } from '../../benchmarks/ledger.ts'
import { checkHistory } from './ledger-histories.ts'
import { checkWitnesses } from './ledger-witnesses.ts'

export interface SimulationRow {
  /** what the ledger promises */
  must: string
  /** how often it was tried, or what was measured */
  tried: number | string
  failed: number
  /** first seed that failed */
  seed?: number
  fault?: string
}

export interface SimulationInit {
  /** seeds of the witness simulation; histories are cheap and get ten times as many */
  seeds: number
  /** first seed, to replay one that failed */
  from?: number
}

interface Outcome {
  ok: boolean
  table: SimulationRow[]
}

const outcomeOf = (table: SimulationRow[]): Outcome => ({
  ok: table.every(({ failed }) => failed === 0),
  table
})

/** Histories and witnesses under seeded loss, crashes, partitions and cheating. */
export async function simulate({ seeds, from = 1 }: SimulationInit): Promise<Outcome> {
  return outcomeOf([
    await check('conservation, no debt, same set → same balances', seeds * 10, from, checkHistory),
    await check('no conflicting certificates, honest account goes on', seeds, from, checkWitnesses)
  ])
}

/**
 * All that the ledger promises: the simulation, then real processes and the real OrbitDB. With 10,000 seeds it tries as
 * often as the table asks, also 10,000 hostile heads, a chain of 100,000 and 500 kills; that takes an hour.
 */
export async function run({ seeds, from = 1 }: SimulationInit): Promise<Outcome> {
  const { table } = await simulate({ seeds, from })
  const kills = Math.max(5, Math.ceil(seeds / 20))
  const heads = Math.max(100, seeds)
  const chain = Math.max(100, seeds * 10)
  const mocha = ['node_modules/mocha/bin/mocha.js']
  for (const row of [
    await command(
      'hostile entries and chains rejected, honest entry ≤ 2 s',
      `${heads} heads, chain of ${chain}`,
      [...mocha, 'test/ledger/attacks.spec.ts'],
      { ARTEL_HEADS: String(heads), ARTEL_CHAIN: String(chain) }
    ),
    await command('a bad witness as a process, another cut off', '4 witnesses', [
      ...mocha,
      'test/ledger/processes.spec.ts'
    ]),
    await command('a fork proof reaches 20 nodes ≤ 10 s', '20 nodes', [
      '--no-node-snapshot',
      'test/ledger/partition.ts'
    ]),
    await command(
      'kill −9: nothing lost, nothing twice, same balances',
      `${kills} kills`,
      [...mocha, 'test/ledger/kills.spec.ts'],
      { ARTEL_KILLS: String(kills), ARTEL_SEED: String(from) }
    ),
    ...(await speed(seeds))
  ])
    table.push(row)
  return outcomeOf(table)
}

async function check(
  must: string,
  seeds: number,
  from: number,
  faultIn: (seed: number) => string | undefined | Promise<string | undefined>
): Promise<SimulationRow> {
  const row: SimulationRow = { must, tried: seeds, failed: 0 }
  for (let seed = from; seed < from + seeds; seed++) {
    const fault = await faultIn(seed)
    if (fault == null) continue
    row.failed += 1
    row.seed ??= seed
    row.fault ??= fault
  }
  return row
}

/** A test or a program of this repository, by its exit code. */
function command(
  must: string,
  tried: string,
  args: string[],
  env: Record<string, string> = {}
): Promise<SimulationRow> {
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      if (error == null) return resolve({ must, tried, failed: 0 })
      console.error(`${stdout}${stderr}`)
      resolve({ must, tried, failed: 1, fault: 'see above' })
    })
  })
}

/** Figures of the bench beside their targets. */
async function speed(seeds: number): Promise<SimulationRow[]> {
  const targets: Record<string, { least?: number; most?: number }> = {
    'ledger.transfers': { least: 2_000 },
    'ledger.transfer-p50': { most: 30 },
    'ledger.settle-1000': { most: 1_000 },
    'ledger.bytes': { most: 300 },
    'ledger.join': { most: 5_000 },
    'ledger.replay': { most: 1_000 }
  }
  const rows = await bench({ quick: seeds < 1_000, failed: (_, error) => console.error(error) })
  return rows.flatMap(({ metric, median, unit }) => {
    const target = targets[metric]
    if (target == null) return []
    const { least = 0, most = Number.POSITIVE_INFINITY } = target
    const must = `${metric} ${least > 0 ? `≥ ${least}` : `≤ ${most}`} ${unit}`
    return { must, tried: `${Math.round(median)} ${unit}`, failed: median >= least && median <= most ? 0 : 1 }
  })
}
