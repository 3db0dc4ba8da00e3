import { BodyTooLargeError, MediaTypeError, NotFoundError, RequestError } from '../errors.ts'
import type { Problem } from '../schema.ts'

type Verdict = (error: { name: string }) => { status: number }

/** What errors know beside their message, and clients may want to show. */
const DETAILS = ['field', 'failure', 'line', 'column', 'part', 'cid', 'reason', 'retryAfter'] as const

/** The answer to a request that failed (RFC 9457). Our own mistakes keep their message to themselves. */
export function problemOf(error: Error, verdict: Verdict): Problem {
  const known = ofFramework(error)
  const { status } = verdict(known)
  const isOurs = status >= 500 && verdict({ name: '' }).status === status
  const title = isOurs ? 'InternalError' : known.name
  const detail = isOurs ? 'this is a mistake of ours; the log of the node has more' : known.message
  return {
    type: `urn:artel:error:${title}`,
    title,
    status,
    detail,
    ...(isOurs ? {} : detailsOf(known as unknown as Record<string, unknown>))
  }
}

function detailsOf(error: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(DETAILS.filter(key => error[key] != null).map(key => [key, error[key]]))
}

/** Errors of the HTTP framework under our names. */
function ofFramework(error: Error & { code?: string; statusCode?: number; validation?: unknown }): Error {
  if (!error.code?.startsWith('FST_')) return error
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new BodyTooLargeError(
      'the body is larger than this route takes; put large data into the block store with POST /api/v1/data'
    )
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new MediaTypeError(error.message)
  if (error.statusCode === 404) return new NotFoundError(error.message)
  if (error.statusCode != null && error.statusCode < 500) return new RequestError(error.message)
  return error
}
