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
export async function count(
  request: PageProps['request'],
  { preset, input }: Question,
  { signal, onProgress }: { signal: AbortSignal; onProgress(progress: Progress): void }
): Promise<Counted> {
  const response = await request(`/analyzer/${preset}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(input),
    signal
  })
  if (!response.ok || response.body == null) throw new Error(detailOf(await response.text(), response.status))
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) throw new Error(`HTTP ${response.status}, and no answer`)
    const events = (rest + value).split('\n\n')
    rest = events.pop()!
    for (const text of events) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(text) ?? []
      if (event === 'progress') onProgress(JSON.parse(data!) as Progress)
      else if (event === 'result') return JSON.parse(data!) as Counted
      else if (event === 'error') throw new Error(detailOf(data!, 500))
    }
  }
}

function detailOf(text: string, status: number): string {
  try {
    return (JSON.parse(text) as { detail?: string }).detail ?? `HTTP ${status}`
  } catch {
    // a proxy before the node answers in its own words
    return `HTTP ${status}`
  }
}
