import { follow } from '../../host/page/follow.ts'

/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
}

export interface Counted {
  job: string
  visited: number
  skipped: string
  classes?: { class: string; count: number }[]
  ends?: { end: string; chance: number; exact: string }[]
  plays?: { play: string; gain: number }[]
  hits?: { hits: number; draws: number }[]
  solutions?: number
  systems?: number
  value?: unknown
}

export interface Progress {
  job: string
  done: number
  total: number
  soFar?: Counted
}

export interface Question {
  preset: string
  input: object
}

/** Asks, and tells how it goes until there is an answer. Whoever ends the signal ends the job. */
export const count = (
  request: PageProps['request'],
  { preset, input }: Question,
  options: { signal: AbortSignal; onProgress(progress: Progress): void }
): Promise<Counted> => follow(request, `/analyzer/${preset}`, input, options)
