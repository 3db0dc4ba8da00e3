import type { z } from 'zod'
import type { ContributionPatch, contribution } from '../schema.ts'

/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
}

/** As JSON has it: credits are decimal strings. */
export type Lent = z.input<typeof contribution>

/** What is lent now or, with a patch, after it. */
export async function ask(
  request: PageProps['request'],
  { patch, signal }: { patch?: ContributionPatch; signal?: AbortSignal }
): Promise<Lent> {
  const headers = { 'content-type': 'application/json' }
  const change = patch == null ? {} : { method: 'PATCH', headers, body: JSON.stringify(patch) }
  const response = await request('/contribution', { ...change, ...(signal == null ? {} : { signal }) })
  const answer = (await response.json()) as Lent & { detail?: string }
  if (!response.ok) throw new Error(answer.detail ?? `HTTP ${response.status}`)
  return answer
}
