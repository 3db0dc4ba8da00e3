import { globSync, readFileSync } from 'node:fs'
import { checkHouse } from './check-house.ts'
import { rules } from './rules.ts'

const MADE = new Set(['node_modules', 'dist', '.git', '.artel', 'screenshots'])

// found by name and not asked of git: a copy of the tree without its history is checked as well
const found = globSync('**/*', { withFileTypes: true, exclude: entry => MADE.has(entry.name) })
const files = found
  .filter(entry => entry.isFile())
  .map(entry => `${entry.parentPath}/${entry.name}`.replace(`${process.cwd()}/`, '').replace(/^\.\//, ''))
const isSource = (file: string) => /\.(ts|tsx|js|mjs)$/.test(file)
const [sources, others] = [files.filter(isSource), files.filter(file => !isSource(file))]

const faults = checkHouse(new Map(sources.map(file => [file, readFileSync(file, 'utf8')])), others, rules)
for (const { file, line, message } of faults) console.error(`${file}:${line} ${message}`)
if (faults.length > 0) {
  console.error(`\nThe house has ${faults.length} faults; its rules stand in test/house/rules.ts.`)
  process.exitCode = 1
}
