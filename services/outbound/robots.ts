import robotsParser from 'robots-parser'

/** Its declarations are of an ES module, which it is not: what they are worth hangs on who resolves them. */
const parse = robotsParser as unknown as (
  url: string,
  text: string
) => {
  isAllowed(url: string, agent: string): boolean | undefined
  getCrawlDelay(agent: string): number | undefined
}

/** The product token (RFC 9309). */
export const ROBOT = 'artel'
const KEEP_MS = 24 * 3_600_000
const MOST_DELAY_S = 600
/** Of rules with `*`, each held against every place of an address: 0.1 s at most. */
const MOST_STEPS = 50_000_000

export interface Robots {
  isAllowed(url: string): boolean
  /** ms between two requests, where it says so */
  delayMs?: number
  /** ms since 1970 from when on it is asked again */
  until: number
  /** of what is kept of it, in characters */
  size: number
}

/**
 * What a robots.txt says. RFC 9309: what is not there allows everything, a site that cannot answer allows nothing; nor does
 * one whose rules are too many to be held against the address.
 *
 * @param status of the answer
 */
export function readRobots(url: string, status: number, text: string, now: number): Robots {
  if (status >= 500) return { isAllowed: () => false, until: now + 10 * 60_000, size: 0 }
  if (status >= 400) return { isAllowed: () => true, until: now + KEEP_MS, size: 0 }
  const lines = ownLines(text)
  const robots = parse(url, lines.join('\n'))
  const seconds = robots.getCrawlDelay(ROBOT)
  const lengthOf = (some: readonly string[]): number => some.reduce((sum, { length }) => sum + length, 0)
  const wild = lengthOf(lines.filter(line => line.includes('*')))
  return {
    isAllowed: page => wild * page.length <= MOST_STEPS && robots.isAllowed(page, ROBOT) !== false,
    delayMs: seconds == null || !(seconds > 0) ? undefined : Math.min(seconds, MOST_DELAY_S) * 1000,
    until: now + KEEP_MS,
    size: lengthOf(lines)
  }
}

/** The groups that are for us or for all, each agent once: the parser takes every rule for every agent of its group. */
function ownLines(text: string): string[] {
  const own: string[] = []
  let agents = new Set<string>()
  let isHead = false
  for (const line of text.split(/[\r\n]+/)) {
    const [, name = '', value = ''] = /^([^:#]*):([^#]*)/.exec(line) ?? []
    const field = name.trim().toLowerCase()
    if (field === '') continue
    if (field !== 'user-agent') {
      isHead = false
      if (agents.size > 0) own.push(`${field}:${value}`)
      continue
    }
    if (!isHead) agents = new Set()
    isHead = true
    const agent = value.split('/', 1)[0]!.trim().toLowerCase()
    if ((agent !== ROBOT && agent !== '*') || agents.has(agent)) continue
    agents.add(agent)
    own.push(`${field}:${agent}`)
  }
  return own
}
