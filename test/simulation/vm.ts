import { checkKills } from '../services/vm/kills.ts'

/** Each seed is a host with real machines that kills itself; they follow each other on one folder. */
export async function run({ seeds, seed }: { seeds: number; seed: number }) {
  const { problems, ...counts } = await checkKills(seeds, seed)
  return { ok: problems.length === 0, table: [{ ...counts, problems: problems.join('; ') || 'none' }] }
}
