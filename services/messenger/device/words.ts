import { LRUCache } from 'lru-cache'
import { newStemmer } from 'snowball-stemmers'
import type { Event } from '../core/event.ts'

/* Words as they are found: without endings, ё as е, whatever their case. */

const russian = newStemmer('russian')
const english = newStemmer('english')
const MAX_WORDS = 1_000
/** people use the same words again and again */
const known = new LRUCache<string, string>({ max: 20_000 })

export function stems(text: string): string[] {
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .replaceAll('ё', 'е')
      .match(/[\p{L}\p{N}]+/gu) ?? []
  return words.slice(0, MAX_WORDS).map(word => {
    const before = known.get(word)
    if (before != null) return before
    const stemmer = /\p{Script=Cyrillic}/u.test(word) ? russian : english
    const stem = stemmer.stem(word)
    known.set(word, stem)
    return stem
  })
}

/** What an event is found by; undefined: it is not. */
export function wordsOf(event: Event): string | undefined {
  if (event.kind === 'text' || event.kind === 'edit') return stems(event.body.text).join(' ')
  return event.kind === 'file' ? stems(event.body.name).join(' ') : undefined
}

/** A query of FTS5 that finds all of these words; undefined where there are none. */
export function queryOf(text: string): string | undefined {
  const words = stems(text)
  return words.length === 0 ? undefined : words.map(word => `"${word}"`).join(' ')
}
