/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
  /** Hears what the service tells, `messenger:<topic>`; undefined: something may have been missed. */
  listen(listener: (event: { type: string; value?: unknown } | undefined) => void): () => void
}
