import type { ServerResponse } from 'node:http'
import type { Job, Progress } from '../../../scheduler/index.ts'
import { toWire } from '../../host/index.ts'
import { createOutbox } from './outbox.ts'

/** Proxies and browsers give up a silent connection after a minute or so. */
const HEARTBEAT_MS = 15_000

/**
 * One job as server-sent events: `progress` while it runs, then one `end`, and the stream is over. Ends with the
 * reader or with `signal`.
 */
export function streamJob(
  job: Job,
  response: ServerResponse,
  headers: Record<string, string>,
  signal: AbortSignal
): void {
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    // nginx gathers otherwise
    'x-accel-buffering': 'no'
  })
  response.flushHeaders()
  const outbox = createOutbox({
    get waiting() {
      return response.writableLength
    },
    send: (text, sent) => void response.write(text, error => error ?? sent()),
    drop: () => response.destroy()
  })
  const put = (event: string, data: unknown): void =>
    outbox.put(event, `event: ${event}\ndata: ${toWire(data)}\n\n`)
  const onProgress = ({ detail }: CustomEvent<Progress>): void => put('progress', detail)
  const onEnd = (): void => {
    put('end', job.report())
    outbox.finish(close)
  }
  const heartbeat = setInterval(() => outbox.put('heartbeat', ':\n\n'), HEARTBEAT_MS)

  function close(): void {
    clearInterval(heartbeat)
    job.removeEventListener('progress', onProgress)
    job.removeEventListener('end', onEnd)
    signal.removeEventListener('abort', close)
    response.end()
  }

  job.addEventListener('progress', onProgress)
  job.addEventListener('end', onEnd)
  signal.addEventListener('abort', close)
  response.once('close', close)
  if (job.report().finished != null) onEnd()
}
