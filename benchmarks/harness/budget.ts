import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ROOT } from './report.ts'

// Below this share of a process a stage is not named.
const LEAST_SHARE = 0.01
const WAITS = new Set(['(idle)', '(root)'])

interface Frame {
  functionName: string
  url: string
}

export interface Profile {
  nodes: { id: number; callFrame: Frame; children?: number[] }[]
  samples: number[]
  timeDeltas: number[]
}

/** Where the time of a profiled process went: what ran, for which function of ours, and its share of all that was not idle. */
export interface Stage {
  what: string
  caller: string
  ms: number
  share: number
}

/** The stages of one CPU profile, the longest first. Native code and libraries count for the nearest function of ours above them. */
export function stagesOf({ nodes, samples, timeDeltas }: Profile): Stage[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const))
  )
  const times = new Map<string, { what: string; caller: string; us: number }>()
  let all = 0
  for (const [i, id] of samples.entries()) {
    const frame = frames.get(id)!
    if (WAITS.has(frame.functionName)) continue
    const us = timeDeltas[i]!
    all += us
    let above = parents.get(id)
    while (above != null && !isOurs(frames.get(above)!)) above = parents.get(above)
    const what = isOurs(frame) ? nameOf(frame) : frame.functionName
    const caller = isOurs(frame) || above == null ? '' : nameOf(frames.get(above)!)
    const key = `${what} ${caller}`
    const before = times.get(key)?.us ?? 0
    times.set(key, { what, caller, us: before + us })
  }
  return [...times.values()]
    .map(({ what, caller, us }) => ({ what, caller, ms: us / 1000, share: us / all }))
    .filter(({ share }) => share >= LEAST_SHARE)
    .sort((a, b) => b.ms - a.ms)
}

/** The profiles of a folder as Markdown tables. `bytes`: that the profiled work moved; then with ns for each. */
export function budgetOf(folder: string, bytes?: number): string {
  const files = readdirSync(folder).filter(file => file.endsWith('.cpuprofile'))
  return files
    .sort()
    .map(file => {
      const stages = stagesOf(JSON.parse(readFileSync(join(folder, file), 'utf8')))
      const perByte = (ms: number): string => (bytes == null ? '' : ` ${((ms * 1e6) / bytes).toFixed(2)} |`)
      const rows = stages.map(
        ({ what, caller, ms, share }) =>
          `| ${what} | ${caller} | ${Math.round(ms)} | ${(share * 100).toFixed(1)} % |${perByte(ms)}`
      )
      const head = `| ${basename(file, '.cpuprofile')} | for | ms | share |${bytes == null ? '' : ' ns/byte |'}`
      return [head, `| --- | --- | --: | --: |${bytes == null ? '' : ' --: |'}`, ...rows].join('\n')
    })
    .join('\n\n')
}

// within the walls files have no path: artel:driver, task
const isWithin = (url: string): boolean => /^(artel:|task$)/.test(url)
const isOurs = ({ url }: Frame): boolean =>
  isWithin(url) ||
  (url.startsWith('file:') &&
    url.includes(ROOT) &&
    !url.includes('/node_modules/') &&
    !url.includes('/vendor/'))
const nameOf = ({ functionName, url }: Frame): string =>
  `${functionName || 'a function'} in ${isWithin(url) ? url : url.slice(url.indexOf(ROOT) + ROOT.length).replace(/^\//, '')}`
