import type { Fields } from '../extract/contract.ts'
import { textOf } from './compare.ts'

export interface Agreed {
  /** what most have seen */
  found: Map<string, Fields>
  /** keys of which no majority says the same: they are neither there nor gone */
  unconfirmed: Set<string>
  /** for each answer, the keys of which it says something else than the majority */
  differing: string[][]
}

/**
 * What counts among the answers of several nodes, item by item; that an item is not there is an answer too. A node that
 * did not answer confirms nothing: the majority is one of those who were asked.
 *
 * @param answers items by their key
 * @param asked how many were asked, at least as many as have answered
 */
export function agree(answers: readonly ReadonlyMap<string, Fields>[], asked: number): Agreed {
  const found = new Map<string, Fields>()
  const unconfirmed = new Set<string>()
  const differing = answers.map((): string[] => [])
  for (const key of new Set(answers.flatMap(items => [...items.keys()]))) {
    const said = answers.map(items => items.get(key))
    // no item has this text
    const texts = said.map(fields => (fields == null ? '' : textOf(fields)))
    const winner = texts.findIndex(text => texts.filter(other => other === text).length * 2 > asked)
    if (winner === -1) {
      unconfirmed.add(key)
      continue
    }
    const fields = said[winner]
    if (fields != null) found.set(key, fields)
    for (const [i, text] of texts.entries()) if (text !== texts[winner]) differing[i]!.push(key)
  }
  return { found, unconfirmed, differing }
}
