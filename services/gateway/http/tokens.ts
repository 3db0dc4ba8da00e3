import { chmod, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type NewToken, type Token, type TokenBody, tokenRow } from '../../access/index.ts'
import type { Grant } from '../../host/index.ts'
import type { Endings } from '../accounts/index.ts'
import { hashOf, idOf, isSecret, newId, newSecret } from '../accounts/secrets.ts'
import { RequestError } from '../errors.ts'

const ADMIN = 'admin'
const MAX_TOKENS = 1000

const stored = z.array(tokenRow.extend({ hash: z.string() }))
type Stored = z.infer<typeof stored>[number]

export interface Tokens {
  /** the admin token itself, from its file */
  readonly admin: string
  /** undefined for a token that is unknown or over */
  find(text: string): Grant | undefined
  /** whether a token that was found before still counts */
  holds(id: string): boolean
  list(): Token[]
  add(body: TokenBody): Promise<NewToken>
  /** false when there is none */
  remove(id: string): Promise<boolean>
}

/**
 * The tokens of a data folder: `gateway-token` holds the admin's, `gateway-tokens.json` the hashes of all others.
 * Both are for their owner's eyes only (0600).
 */
export async function openTokens(
  folder: string,
  endings: Pick<Endings, 'end'>,
  now: () => number
): Promise<Tokens> {
  const file = join(folder, 'gateway-tokens.json')
  const admin = await adminToken(join(folder, 'gateway-token'))
  const byId = new Map<string, Stored>(
    stored.parse(JSON.parse((await read(file)) ?? '[]')).map(each => [each.id, each])
  )
  const root: Stored = { id: ADMIN, name: ADMIN, scopes: ['admin'], created: 0, hash: hashOf(admin) }
  const isOver = ({ expires }: Stored): boolean => expires != null && expires <= now()
  const get = (id: string): Stored | undefined => (id === ADMIN ? root : byId.get(id))
  let writing = Promise.resolve()

  /** Writes one after the other, so that the file is always the newest state. */
  function save(): Promise<void> {
    writing = writing.then(() => replace(file, JSON.stringify([...byId.values()], null, 2)))
    return writing
  }

  return {
    admin,
    find(text) {
      const kept = get(idOf(text) ?? '')
      return !isSecret(text, kept?.hash) || kept == null || isOver(kept) ? undefined : kept
    },
    holds(id) {
      const kept = get(id)
      return kept != null && !isOver(kept)
    },
    list: () => [...byId.values()].map(({ hash: _, ...shown }) => shown),
    async add({ name, scopes, expires }) {
      for (const each of byId.values()) if (isOver(each)) byId.delete(each.id)
      if (byId.size >= MAX_TOKENS)
        throw new RequestError(
          `there are ${MAX_TOKENS} tokens already; remove one with DELETE /api/v1/tokens/ID`
        )
      const id = newId()
      const text = newSecret(id)
      const shown = {
        id,
        name,
        scopes: [...new Set(scopes)],
        created: now(),
        ...(expires == null ? {} : { expires })
      }
      byId.set(id, { ...shown, hash: hashOf(text) })
      await save()
      return { ...shown, token: text }
    },
    async remove(id) {
      if (!byId.delete(id)) return false
      endings.end(id)
      await save()
      return true
    }
  }
}

async function adminToken(file: string): Promise<string> {
  const before = (await read(file))?.trim()
  if (before != null && idOf(before) === ADMIN) {
    await chmod(file, 0o600)
    return before
  }
  const text = newSecret(ADMIN)
  await replace(file, `${text}\n`)
  return text
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** The whole file or the one before, also when the power fails in between; for its owner only. */
export async function replace(file: string, text: string): Promise<void> {
  const draft = `${file}.new`
  await using handle = await open(draft, 'w', 0o600)
  await handle.chmod(0o600)
  await handle.writeFile(text)
  await handle.sync()
  await rename(draft, file)
}
