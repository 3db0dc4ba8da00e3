import type { Fields } from '../extract/contract.ts'
import { skeletonOf } from './skeleton.ts'

/** Latin letters that look like Cyrillic ones, and are typed for them. */
const LOOK_ALIKE: Readonly<Record<string, string>> = {
  a: 'а',
  b: 'в',
  c: 'с',
  e: 'е',
  h: 'н',
  i: 'і',
  k: 'к',
  m: 'м',
  o: 'о',
  p: 'р',
  t: 'т',
  x: 'х',
  y: 'у'
}

/**
 * The words of a text as they are compared: small letters, ё as е, without quotes and accents of typography; hyphens part
 * words, and Latin letters inside a Cyrillic word become what they look like.
 */
export function tokensOf(text: string): string[] {
  const folded = text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/ё/g, 'е')
    .replace(/['’‘ʼ`´"«»„“”]/g, '')
  return (folded.match(/[\p{L}\p{N}\p{M}]+/gu) ?? []).map(word =>
    /\p{Script=Cyrillic}/u.test(word) ? word.replace(/[a-z]/g, letter => LOOK_ALIKE[letter] ?? letter) : word
  )
}

export const skeletonsOf = (text: string): string[] => tokensOf(text).map(skeletonOf)

/** Whether all words of a query stand in an item, in either script. */
export function isFound(query: string, fields: Fields): boolean {
  const words = new Set(skeletonsOf(Object.values(fields).join(' ')))
  const wanted = skeletonsOf(query)
  return wanted.length > 0 && wanted.every(word => words.has(word))
}
