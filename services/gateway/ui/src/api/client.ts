import { COOKIE, token } from './token.ts'
import type { Problem } from './wire.ts'

const DEADLINE_MS = 30_000
/** The node answers within this: others may sign in at the same time, and each password takes a while. */
export const SIGN_IN_MS = 110_000

/** The node answered, and said no. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly status: number
  readonly title: string

  constructor({ status, title, detail }: Pick<Problem, 'status' | 'title' | 'detail'>) {
    super(detail)
    this.status = status
    this.title = title
  }
}

/** The node did not answer. */
export class UnreachableError extends Error {
  override name = 'UnreachableError'
}

export interface CallOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  /** default: 30 s */
  deadlineMs?: number
}

/** Calls /api/v1 with the token or the cookie of the session. Throws ProblemError or UnreachableError; a refused token is forgotten. */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const { method = 'GET', body, headers = {}, signal, deadlineMs = DEADLINE_MS } = options
  const secret = token.get()
  const deadline = AbortSignal.timeout(deadlineMs)
  let response: Response
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: {
        accept: 'application/json',
        ...(secret == null || secret === COOKIE ? {} : { authorization: `Bearer ${secret}` }),
        ...(body == null ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      body: body == null ? undefined : JSON.stringify(body),
      signal: signal == null ? deadline : AbortSignal.any([signal, deadline]),
      cache: 'no-store',
      // for the cookie of the session; where there is a token, that counts
      credentials: 'same-origin'
    })
    if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T
  } catch (err) {
    if (signal?.aborted === true) throw err
    throw new UnreachableError((err as Error).message)
  }
  const problem = await problemOf(response)
  // other errors of this status are about a password or a code
  if (problem.title === 'UnauthorizedError') token.refuse(secret)
  throw problem
}

/** The same for pages of services: any body and any answer, however long it takes. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const secret = token.get()
  const headers = new Headers(init.headers)
  if (secret != null && secret !== COOKIE) headers.set('authorization', `Bearer ${secret}`)
  try {
    const response = await fetch(`/api/v1${path}`, {
      ...init,
      headers,
      cache: 'no-store',
      credentials: 'same-origin'
    })
    if (response.status === 401) token.refuse(secret)
    return response
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new UnreachableError((error as Error).message)
  }
}

async function problemOf(response: Response): Promise<ProblemError> {
  try {
    return new ProblemError((await response.json()) as Problem)
  } catch {
    // a proxy before the node answers in its own words
    return new ProblemError({
      status: response.status,
      title: response.statusText,
      detail: `HTTP ${response.status}`
    })
  }
}
