/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
  /** Hears what the service tells, `files:<topic>`; undefined: something may have been missed. */
  listen(listener: (event: { type: string; value?: unknown } | undefined) => void): () => void
}

export interface FileRow {
  cid: string
  type: 'file' | 'folder'
  size: number
  names: { name: string; version: number }[]
  replicas: { wanted: number; proved: number }
}

export interface Status {
  usage: { own: number; lent: number }
  quota: { own: number; lent: number }
  transfers: Transfer[]
}

export interface Transfer {
  id: number
  what: 'add' | 'fetch'
  file: string
  done: number
  total?: number
}

/** A text is looked at as far as this. */
const PREVIEW_BYTES = 64 * 1024
const PICTURE_BYTES = 50_000_000
const PICTURES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  // as a picture of its own, where nothing in it runs
  svg: 'image/svg+xml'
}

export type Preview =
  | { kind: 'picture'; url: string }
  | { kind: 'text'; text: string; isCut: boolean }
  | { kind: 'none' }

export function createApi(request: PageProps['request']) {
  async function ask(path: string, init?: RequestInit): Promise<Response> {
    const response = await request(path, init)
    if (response.ok) return response
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new Error(problem.detail ?? `HTTP ${response.status}`)
  }
  const json = async <T>(path: string, init?: RequestInit): Promise<T> => (await ask(path, init)).json() as T
  const query = (fields: Record<string, string | number | undefined>): string =>
    new URLSearchParams(
      Object.entries(fields).flatMap(([key, value]) => (value == null ? [] : [[key, String(value)]]))
    ).toString()

  return {
    list: (cursor?: string) =>
      json<{ items: FileRow[]; next?: string }>(`/files?${query({ limit: 50, cursor })}`),
    status: () => json<Status>('/files/status'),
    upload: (file: File, replicas: number) =>
      ask(`/files?${query({ name: file.name, replicas })}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: file
      }),
    fetch: (file: string, replicas: number) =>
      ask('/files/pin', {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ file, replicas })
      }),
    unpin: (file: string) => ask(`/files/pin?${query({ file })}`, { method: 'DELETE' }),

    async download({ cid, names }: FileRow): Promise<void> {
      const url = URL.createObjectURL(await (await ask(`/files/content?${query({ file: cid })}`)).blob())
      const link = document.createElement('a')
      link.href = url
      link.download = names[0]?.name ?? cid
      link.click()
      setTimeout(() => URL.revokeObjectURL(url), 60_000)
    },

    /** Never more than a picture or plain text: nothing of a stranger becomes markup here. */
    async preview({ cid, type, size, names }: FileRow): Promise<Preview> {
      const name = names[0]?.name ?? ''
      const picture = PICTURES[name.slice(name.lastIndexOf('.') + 1).toLowerCase()]
      if (type === 'folder' || (picture != null && size > PICTURE_BYTES)) return { kind: 'none' }
      if (picture != null) {
        const bytes = await (await ask(`/files/content?${query({ file: cid })}`)).arrayBuffer()
        return { kind: 'picture', url: URL.createObjectURL(new Blob([bytes], { type: picture })) }
      }
      if (size === 0) return { kind: 'text', text: '', isCut: false }
      const range = { headers: { range: `bytes=0-${PREVIEW_BYTES - 1}` } }
      const bytes = await (await ask(`/files/content?${query({ file: cid })}`, range)).arrayBuffer()
      try {
        // the last letter may be cut in two
        const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
        return text.includes('\0') ? { kind: 'none' } : { kind: 'text', text, isCut: size > PREVIEW_BYTES }
      } catch {
        // bytes that are no text
        return { kind: 'none' }
      }
    }
  }
}

export type Api = ReturnType<typeof createApi>
