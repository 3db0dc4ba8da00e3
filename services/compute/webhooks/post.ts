import { request as plainRequest, type RequestOptions } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { findTarget, type Resolve } from './address.ts'

/** Standard Webhooks recommends 15 to 30 s. */
const ANSWER_MS = 15_000

export interface PostInit {
  headers: Record<string, string>
  body: string
  /** CIDR */
  privateRanges: readonly string[]
  resolve?: Resolve
  signal: AbortSignal
}

/**
 * Posts to the address that `url` has now. Resolves when the receiver answered with 2xx; redirects are not followed.
 *
 * @throws {Error} says in words what was in the way
 */
export async function post(
  url: URL,
  { headers, body, privateRanges, resolve, signal }: PostInit
): Promise<void> {
  checkWayOut()
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  const { address, family } = await findTarget(url.hostname, privateRanges, {
    signal: inTime,
    ...(resolve == null ? {} : { resolve })
  })
  const status = await new Promise<number>((done, fail) => {
    const lookup: RequestOptions['lookup'] = (_, { all }, found) =>
      all === true ? found(null, [{ address, family }]) : found(null, address, family)
    const request = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'artel'
      },
      agent: false,
      lookup,
      signal: inTime
    })
    request.on('error', fail)
    request.on('response', response => {
      done(response.statusCode!)
      // nothing that it says is read
      response.destroy()
    })
    request.end(body)
  })
  if (status >= 300 && status < 400) throw new Error(`it answered ${status}; redirects are not followed`)
  if (status < 200 || status >= 300) throw new Error(`it answered ${status}`)
}
