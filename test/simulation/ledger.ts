import { checkHistory } from './ledger-histories.ts'
import { checkWitnesses } from './ledger-witnesses.ts'

export interface SimulationRow {
  check: string
  seeds: number
  failed: number
  /** first seed that failed, and why */
  seed?: number
  fault?: string
}

export interface SimulationInit {
  /** seeds of the witness simulation; histories are cheap and get ten times as many */
  seeds: number
  /** first seed, to replay one that failed */
  from?: number
}

/** ledger.md, "Must hold": histories and witnesses under seeded loss, crashes, partitions and cheating. */
export async function run({
  seeds,
  from = 1
}: SimulationInit): Promise<{ ok: boolean; table: SimulationRow[] }> {
  const table = [
    await check('conservation, no debt, same set → same balances', seeds * 10, from, checkHistory),
    await check('no conflicting certificates, honest account goes on', seeds, from, checkWitnesses)
  ]
  return { ok: table.every(({ failed }) => failed === 0), table }
}

async function check(
  name: string,
  seeds: number,
  from: number,
  faultIn: (seed: number) => string | undefined | Promise<string | undefined>
): Promise<SimulationRow> {
  const row: SimulationRow = { check: name, seeds, failed: 0 }
  for (let seed = from; seed < from + seeds; seed++) {
    const fault = await faultIn(seed)
    if (fault == null) continue
    row.failed += 1
    row.seed ??= seed
    row.fault ??= fault
  }
  return row
}
