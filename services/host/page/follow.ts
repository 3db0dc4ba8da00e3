interface Options<P> {
  signal?: AbortSignal
  onProgress(progress: P): void
}

/** Calls an operation that tells how it goes, until there is an answer. Whoever ends the signal ends its work. */
export async function follow<T, P>(
  request: (path: string, init?: RequestInit) => Promise<Response>,
  path: string,
  input: object,
  { signal, onProgress }: Options<P>
): Promise<T> {
  const response = await request(path, {
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
      if (event === 'progress') onProgress(JSON.parse(data!) as P)
      else if (event === 'result') return JSON.parse(data!) as T
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
