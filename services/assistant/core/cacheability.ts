const DAY_MS = 24 * 60 * 60_000
const CHAT_MS = DAY_MS
/** the same text has the same embedding and translation as long as the model is the same */
const STABLE_MS = 30 * DAY_MS

export type Endpoint = 'chat' | 'embeddings' | 'translate' | 'images'
/** what the owner says of a model: by its parameters, always, never */
export type CacheMode = 'auto' | 'always' | 'never'

export interface CacheRule {
  /** an answer that is kept may be given */
  mayRead: boolean
  /** the answer is kept so long; 0: not at all */
  keepMs: number
}

/** Whether an answer may come from the cache and go there. Who samples at a temperature wants another answer each time. */
export function cacheRule(
  endpoint: Endpoint,
  body: Readonly<Record<string, unknown>>,
  mode: CacheMode,
  cacheControl = ''
): CacheRule {
  const isStable = endpoint === 'embeddings' || endpoint === 'translate'
  const isRepeatable = isStable || (endpoint === 'chat' && (body.temperature === 0 || body.seed != null))
  if (mode === 'never' || (mode === 'auto' && !isRepeatable)) return { mayRead: false, keepMs: 0 }
  const asked = readCacheControl(cacheControl)
  const usualMs = isStable ? STABLE_MS : CHAT_MS
  return {
    mayRead: !asked.has('no-cache') && !asked.has('no-store') && asked.get('max-age') !== 0,
    keepMs: asked.has('no-store')
      ? 0
      : Math.min(usualMs, (asked.get('max-age') ?? Number.POSITIVE_INFINITY) * 1000)
  }
}

/** Directives of a request (RFC 9111, 5.2.1), and the seconds of those that have some. */
function readCacheControl(text: string): Map<string, number | undefined> {
  return new Map(
    text
      .toLowerCase()
      .split(',', 20)
      .map(directive => {
        const [name, value] = directive.trim().split('=', 2)
        const seconds = /^"?(\d{1,9})"?$/.exec(value ?? '')?.[1]
        return [name!, seconds == null ? undefined : Number(seconds)] as const
      })
  )
}
