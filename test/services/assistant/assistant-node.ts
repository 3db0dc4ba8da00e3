import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import pino from 'pino'
import { openProvider, type Provider } from '../../../node/demo/provider.ts'
import { createNode, loadConfig } from '../../../node/index.ts'
import { OWNER } from '../../../services/index.ts'

/** A secret that must come out nowhere. */
export const KEY = 'sk-canary-7f3a9b'

/** chat models at one provider, `shared` also at another one; `sampled` is never kept, `always` always */
const models = (ids: readonly string[]) =>
  ids.map(id => ({
    id,
    inputPerMillion: '1000000',
    outputPerMillion: '2000000',
    maxOutputTokens: 100,
    cache: id === 'always' ? 'always' : 'auto'
  }))

/**
 * A node with its gateway, an assistant and two providers, in this process.
 *
 * @param lines gets all that is logged
 */
export async function startAssistant(lines?: string[]) {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-assistant-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const first = started.use(await openProvider(KEY))
  const second = started.use(await openProvider(KEY))
  const flags = {
    data: join(folder, 'node'),
    logLevel: 'silent',
    'gateway.enabled': true,
    'gateway.port': 0,
    'assistant.enabled': true,
    'assistant.quotaCredits': 1000
  }
  const logger = lines && pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  const node = await createNode(loadConfig({ environment: {}, flags }), { role: 'seed', logger })
  started.defer(() => node.stop())
  const call = <T = never>(operation: string, input: object = {}, service = 'assistant'): Promise<T> =>
    node.services.call(service, operation, input, { caller: OWNER }) as Promise<T>
  const put = (
    name: string,
    { url }: Provider,
    rank: number,
    ids: readonly string[],
    kind = 'openai',
    more: object[] = []
  ) => call('put', { name, provider: { kind, url, secret: 'key', rank, models: [...models(ids), ...more] } })
  await call('secret', { name: 'key', value: KEY })
  const embedder = { id: 'embedder', use: 'embeddings', inputPerMillion: '1000000' }
  const painter = { id: 'painter', use: 'images', perImage: '40000' }
  await put('first', first, 0, ['m', 'shared', 'always'], 'openai', [embedder, painter])
  await put('second', second, 1, ['shared'])
  const translator = { id: 'any', use: 'translate', inputPerMillion: '1000000' }
  await put('words', first, 0, [], 'libretranslate', [translator])
  const url = node.gateway!.url!
  const all = started.move()
  return {
    folder,
    url,
    first,
    second,
    call,
    /** a new user, with OpenAI's own client */
    async user(scopes = ['assistant:write']) {
      const { id, token } = await call<{ id: string; token: string }>(
        'add',
        { name: 'user', scopes },
        'token'
      )
      const client = new OpenAI({ apiKey: token, baseURL: `${url}/v1`, maxRetries: 0, timeout: 120_000 })
      return { id: `token-${id}`, token, client }
    },
    async account(id: string) {
      const { items } = await call<{ items: { id: string; spent: bigint; held: bigint }[] }>('users')
      return items.find(each => each.id === id)!
    },
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}
