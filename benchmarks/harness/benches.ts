import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Bench } from './contract.ts'
import { ROOT } from './report.ts'

const FOLDER = join(ROOT, 'benchmarks')

/** Every file beside run.ts is a bench of that name. */
export function benchNames(): string[] {
  return readdirSync(FOLDER)
    .filter(file => file.endsWith('.ts') && file !== 'run.ts')
    .map(file => file.slice(0, -'.ts'.length))
    .sort()
}

export async function loadBench(name: string): Promise<Bench> {
  return import(pathToFileURL(join(FOLDER, `${name}.ts`)).href)
}
