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

export interface Robots {
  isAllowed(url: string): boolean
  /** ms between two requests, where it says so */
  delayMs?: number
  /** ms since 1970 from when on it is asked again */
  until: number
}

/**
 * What a robots.txt says. RFC 9309: what is not there allows everything, a site that cannot answer allows nothing.
 *
 * @param status of the answer
 */
export function readRobots(url: string, status: number, text: string, now: number): Robots {
  if (status >= 500) return { isAllowed: () => false, until: now + 10 * 60_000 }
  if (status >= 400) return { isAllowed: () => true, until: now + KEEP_MS }
  const robots = parse(url, text)
  const seconds = robots.getCrawlDelay(ROBOT)
  return {
    isAllowed: page => robots.isAllowed(page, ROBOT) !== false,
    delayMs: seconds == null || !(seconds > 0) ? undefined : Math.min(seconds, MOST_DELAY_S) * 1000,
    until: now + KEEP_MS
  }
}
