import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { benchNames, loadBench } from './benches.ts'
import type { Report } from './contract.ts'
import { asMarkdown, ROOT } from './report.ts'

const FILE = join(ROOT, 'benchmarks/README.md')

/** Puts the list of metrics and this report's figures into benchmarks/README.md, between their markers. */
export async function writeReadme(report: Report): Promise<void> {
  const lines = ['| metric | meaning |', '| --- | --- |']
  for (const name of benchNames())
    for (const [metric, meaning] of Object.entries((await loadBench(name)).metrics))
      lines.push(`| \`${metric}\` | ${meaning} |`)
  const readme = between(await readFile(FILE, 'utf8'), 'metrics', lines.join('\n'))
  const results = `results ${report.bench}`
  // a bench without a place of its own in the file is only printed
  const isNamed = readme.includes(`<!-- ${results} -->`)
  await writeFile(FILE, isNamed ? between(readme, results, asMarkdown(report).trim()) : readme)
}

function between(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const from = text.indexOf(start) + start.length
  const to = text.indexOf(end, from)
  if (from < start.length || to < 0) throw new Error(`${FILE} lacks the markers ${start} and ${end}`)
  return `${text.slice(0, from)}\n${content}\n${text.slice(to)}`
}
