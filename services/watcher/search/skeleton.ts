/** Cyrillic of Russian, Belarusian and Ukrainian, by the letters that passports have for it. */
const LATIN: Readonly<Record<string, string>> = {
  а: 'a',
  б: 'b',
  в: 'v',
  г: 'g',
  ґ: 'g',
  д: 'd',
  е: 'e',
  є: 'ye',
  ж: 'zh',
  з: 'z',
  и: 'i',
  і: 'i',
  ї: 'yi',
  й: 'y',
  к: 'k',
  л: 'l',
  м: 'm',
  н: 'n',
  о: 'o',
  п: 'p',
  р: 'r',
  с: 's',
  т: 't',
  у: 'u',
  ў: 'u',
  ф: 'f',
  х: 'kh',
  ц: 'ts',
  ч: 'ch',
  ш: 'sh',
  щ: 'shch',
  ъ: '',
  ы: 'y',
  ь: '',
  э: 'e',
  ю: 'yu',
  я: 'ya'
}
const MARKED: Readonly<Record<string, string>> = { š: 'sh', č: 'ch', ž: 'zh', ł: 'l', ŭ: 'u', ß: 'ss' }

/** In this order; each is what ways to write one sound have in common. A capital is a sound that has no letter. */
const SOUNDS: readonly (readonly [RegExp, string])[] = [
  [/ph/g, 'f'],
  [/s[hc]*ch|szcz|sh|sz/g, 'S'],
  [/tch|ch|cz/g, 'C'],
  [/zh/g, 'Z'],
  [/kh|h/g, 'g'],
  [/x/g, 'ks'],
  [/ts|tz|c(?=[eiy])/g, 'c'],
  [/ck|c(?=[aou])|q/g, 'k'],
  [/w/g, 'v'],
  [/ou/g, 'u'],
  // a vowel after a glide is that vowel
  [/[iyj]+u/g, 'u'],
  [/[iyj]+a/g, 'a'],
  [/[iyj]+[eo]/g, 'e'],
  [/[eiyj]*[iyj]$/, 'i'],
  [/[iyj]+/g, 'i'],
  [/(?<=[bcdfgklmnprstvzSCZ])er$/, 'r'],
  [/(.)\1+/g, '$1']
]

/** What is longer is no name, and the sounds of `iii…` would be looked for from each of its letters. */
const MOST_LETTERS = 64

/**
 * What the ways to write a name have in common, whatever the script: `Shcherbakov`, `Scherbakov` and `Щербаков` are one.
 * Rather one name too many than none.
 *
 * @param word as `tokensOf` gives it
 */
export function skeletonOf(word: string): string {
  if (word.length > MOST_LETTERS) return word
  let latin = ''
  for (const letter of word) latin += LATIN[letter] ?? MARKED[letter] ?? letter
  latin = latin.normalize('NFD').replace(/\p{M}/gu, '')
  if (/\d/.test(latin)) return latin
  return SOUNDS.reduce((text, [pattern, sound]) => text.replace(pattern, sound), latin)
}
