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

/** Short id of the commit, with `+` when files differ from it, other than the one that the figures go into. */
export function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '-uno', '--', '.', ':!benchmarks/README.md') === '' ? '' : '+')
    )
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

function heading({ bench, commit, machine, versions, failed = {} }: Report): string {
  const { cpu, cores, memoryMb, os, load, date } = machine
  return [
    `${bench}: ${date}, commit ${commit}, ${cores} × ${cpu}, ${memoryMb} MB, ${os}, load ${load.toFixed(2)} before`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    ...Object.entries(failed).map(([name, why]) => `${name} failed: ${why.split('\n')[0]}`)
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
  const right = [2, 5]
  if (markdown) return aligned(lines, right)
  return padded(lines, right)
    .map(line => line.join('  ').trimEnd())
    .join('\n')
}

/** A Markdown table; the first line is its head, the columns `right` hold numbers. */
export function aligned(lines: string[][], right: number[]): string {
  const [head, ...rest] = padded(lines, right)
  const rule = head!.map(({ length }, i) =>
    right.includes(i) ? `${'-'.repeat(length - 1)}:` : '-'.repeat(length)
  )
  return [head!, rule, ...rest].map(line => `| ${line.join(' | ')} |`).join('\n')
}

function padded(lines: string[][], right: number[]): string[][] {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map(line => line[i]!.length)))
  return lines.map(line =>
    line.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
  )
}

/** Three digits that mean something; thousands in groups. */
function readable(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.min(digits, 6) })
}
