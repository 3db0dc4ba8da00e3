/** Events of a body of the type text/event-stream, as a node writes them: `event` and one line of `data` each. */
export async function* eventsOf(
  body: AsyncIterable<Uint8Array>,
  heard: () => void
): AsyncGenerator<{ event: string; data: string }> {
  const utf8 = new TextDecoder()
  // an event may come in many parts, and is put together once
  let parts: string[] = []
  let event = 'message'
  for await (const bytes of body) {
    heard()
    const [first, ...others] = utf8.decode(bytes, { stream: true }).split('\n')
    parts.push(first!)
    for (const start of others) {
      yield* lineOf(parts.join(''))
      parts = [start]
    }
  }

  function* lineOf(line: string): Generator<{ event: string; data: string }> {
    if (line.startsWith('event: ')) event = line.slice('event: '.length).trimEnd()
    else if (line.startsWith('data: ')) yield { event, data: line.slice('data: '.length).trimEnd() }
  }
}
