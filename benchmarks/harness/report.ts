import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import type { Machine, Report, Row } from './contract.ts'

export const ROOT = new URL('../../', import.meta.url).pathname

const MEASURED_PACKAGES = ['libp2p', '@chainsafe/libp2p-noise', '@chainsafe/libp2p-yamux', 'isolated-vm']

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? process.arch,
    cores: availableParallelism(),
    memoryMb: Math.round(totalmem() / 2 ** 20),
    os: `${type()} ${release()} ${process.arch}`,
    load: loadavg()[0]!,
    date: new Date().toISOString().slice(0, 10)
  }
}

/** Short id of the commit, with `+` when files differ from it. */
export function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '-uno') === '' ? '' : '+')
  } catch {
    return 'unknown: not a git checkout'
  }
}

export function versions(): Record<string, string> {
  const packages = MEASURED_PACKAGES.map(name => [name, packageVersion(`${ROOT}node_modules/${name}`)])
  return { node: process.version, v8: process.versions.v8, ...Object.fromEntries(packages) }
}

export function packageVersion(folder: string): string {
  return JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')).version
}

export function asText(report: Report): string {
  return `${heading(report)}\n\n${table(report.rows, false)}\n`
}

export function asMarkdown(report: Report): string {
  return `${heading(report)}\n\n${table(report.rows, true)}\n`
}

function heading({ bench, commit, machine, versions }: Report): string {
  const { cpu, cores, memoryMb, os, load, date } = machine
  return [
    `${bench}: ${date}, commit ${commit}, ${cores} × ${cpu}, ${memoryMb} MB, ${os}, load ${load.toFixed(2)} before`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')
  ].join('\n\n')
}

function table(rows: Row[], markdown: boolean): string {
  const cells = rows.map(({ metric, unit, median, min, max, runs, peer }) => [
    metric,
    peer ?? 'artel',
    readable(median),
    unit,
    `${readable(min)} … ${readable(max)}`,
    String(runs)
  ])
  const lines = [['metric', 'of', 'median', 'unit', 'min … max', 'runs'], ...cells]
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map(line => line[i]!.length)))
  const right = [2, 5]
  const padded = lines.map(line =>
    line.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
  )
  if (!markdown) return padded.map(line => line.join('  ').trimEnd()).join('\n')
  const rule = widths.map((width, i) => (right.includes(i) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)))
  return [padded[0]!, rule, ...padded.slice(1)].map(line => `| ${line.join(' | ')} |`).join('\n')
}

/** Three digits that mean something; thousands in groups. */
function readable(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.min(digits, 6) })
}
