import { readdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'

/*
 * `npm run simulate -- NAME [--seeds N] [--seed S]`: every file here that exports `run({ seeds, seed })`, by its name.
 * `run` resolves with whether everything holds. It prints its own report, or answers a table with it; a failing seed
 * is part of either, and replays with `--seeds 1 --seed S`.
 */

type Table = Record<string, unknown>[]
type Simulation = (options: {
  seeds: number
  /** the first seed, under both names that simulations use */
  seed: number
  from: number
}) => Promise<boolean | { ok: boolean; table: Table }>

// Enough to see that everything runs; who looks for rare failures asks for thousands.
const DEFAULT_SEEDS = 20

async function find(): Promise<Map<string, Simulation>> {
  const found = new Map<string, Simulation>()
  for (const file of (await readdir(import.meta.dirname)).sort()) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts') || file === 'run.ts') continue
    const { run } = (await import(`./${file}`)) as { run?: Simulation }
    if (run != null) found.set(file.slice(0, -3), run)
  }
  return found
}

function number(flag: string, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new Error(`--${flag} takes a whole number from 1, got "${text}"`)
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: String(DEFAULT_SEEDS) },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const seeds = number('seeds', values.seeds)
  const seed = number('seed', values.seed)
  const simulations = await find()
  if (values.help) {
    console.log(`usage: npm run simulate -- [NAME…] [--seeds N] [--seed S]
simulations: ${[...simulations.keys()].join(', ')}; without NAME all of them
example: npm run simulate -- ledger --seeds 1 --seed 7`)
    return true
  }
  const names = positionals.length > 0 ? positionals : [...simulations.keys()]
  let ok = true
  for (const name of names) {
    const run = simulations.get(name)
    if (run == null)
      throw new Error(`there is no simulation "${name}"; there are ${[...simulations.keys()].join(', ')}`)
    if (names.length > 1) console.log(`\n# ${name}`)
    const result = await run({ seeds, seed, from: seed })
    if (typeof result === 'object') console.table(result.table)
    ok = (typeof result === 'object' ? result.ok : result) && ok
  }
  return ok
}

main().then(
  ok => process.exit(ok ? 0 : 1),
  (error: Error) => {
    console.error(`simulate: ${error.message}`)
    process.exit(2)
  }
)
