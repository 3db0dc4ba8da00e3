import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { benchNames, loadBench } from './benches.ts'
import type { Report } from './contract.ts'
import { aligned, asMarkdown, ROOT } from './report.ts'

const FILE = join(ROOT, 'benchmarks/README.md')

/** Puts the list of metrics and this report's figures into benchmarks/README.md, between their markers. */
export async function writeReadme(report: Report): Promise<void> {
  const cells = [['metric', 'meaning']]
  for (const name of benchNames())
    for (const [metric, meaning] of Object.entries((await loadBench(name)).metrics))
      cells.push([`\`${metric}\``, meaning])
  const lines = aligned(cells, [])
  const readme = between(await readFile(FILE, 'utf8'), 'metrics', lines)
  const results = `results ${report.bench}`
  const place = `<!-- ${results} -->\n<!-- end of ${results} -->\n`
  const all = readme.includes(`<!-- ${results} -->`) ? readme : `${readme}\n${place}`
  await writeFile(FILE, between(all, results, asMarkdown(report).trim()))
}

function between(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const from = text.indexOf(start) + start.length
  const to = text.indexOf(end, from)
  if (from < start.length || to < 0) throw new Error(`${FILE} lacks the markers ${start} and ${end}`)
  return `${text.slice(0, from)}\n${content}\n${text.slice(to)}`
}
