import { LRUCache } from 'lru-cache'
import { alikeOf, cosine } from './core/alike.ts'
import { cacheKey } from './core/cache-key.ts'
import type { Json } from './provider/send.ts'

/** As near as two vectors must be. */
const NEAR = 0.95
/** Questions that are remembered, and of them those that differ in nothing but little words. */
const REMEMBERED = 10_000
const OF_ONE = 8

/** A question with its place among those that are like it. */
export interface Placed {
  id: string
  vector: readonly number[]
}

interface Known {
  vector: readonly number[]
  key: Uint8Array
}

/**
 * Which kept answer does for a question that says the same in other words. Remembered in memory alone; what is not
 * known is asked for.
 *
 * @param embed the vector of a text, on the account of a user; undefined: there is none
 */
export function createSimilar(
  isOn: () => boolean,
  embed: (user: string, text: string) => Promise<readonly number[] | undefined>
) {
  const known = new LRUCache<string, Known[]>({ max: REMEMBERED })
  return {
    isOn,
    /** undefined: no other answer does. */
    async place(user: string, namespaceKey: Uint8Array, body: Json): Promise<Placed | undefined> {
      const alike = isOn() ? alikeOf(body) : undefined
      const vector = alike && (await embed(user, alike.text))
      if (vector == null) return undefined
      return { id: cacheKey(namespaceKey, alike!.same).toString('hex'), vector }
    },
    /** Key of a kept answer. */
    find: ({ id, vector }: Placed): Uint8Array | undefined =>
      known.get(id)?.find(each => cosine(each.vector, vector) >= NEAR)?.key,
    remember({ id, vector }: Placed, key: Uint8Array): void {
      known.set(id, [{ vector, key }, ...(known.get(id) ?? [])].slice(0, OF_ONE))
    }
  }
}

export type Similar = ReturnType<typeof createSimilar>
